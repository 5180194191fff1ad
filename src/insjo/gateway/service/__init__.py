"""The public face of the gateway, one module for each noun; `room` puts them together."""
