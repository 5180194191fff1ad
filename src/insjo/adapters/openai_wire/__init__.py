"""Servers elsewhere that speak OpenAI's wire: a pooled HTTP/1.1 client that sends only cleared requests."""
