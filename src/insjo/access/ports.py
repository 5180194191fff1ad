"""Ports of the room: none yet, since access keeps everything in the metadata database and asks nobody."""
