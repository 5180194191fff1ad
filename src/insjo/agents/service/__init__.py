"""The public face of the agents room."""
