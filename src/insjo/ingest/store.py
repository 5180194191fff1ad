"""Loads are runs of the room of jobs; there is nothing to keep beside them."""
