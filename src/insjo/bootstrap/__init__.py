"""The composition root: settings to adapters to services to the ASGI application."""
