"""The public face of the room."""
