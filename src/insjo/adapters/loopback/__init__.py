"""Looks at the sockets of this machine."""
