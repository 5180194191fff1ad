"""The public face of the room, one module a noun."""
