"""The agents room has no port of its own: models, documents and tables are reached through the rooms below."""
