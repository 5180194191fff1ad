"""The door that speaks OpenAI's wire, on bare ASGI: most requests that Insjö ever gets come in here."""
