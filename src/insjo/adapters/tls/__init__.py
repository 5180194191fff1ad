"""TLS: the installation's own certificate authority, the server's certificate, and the context that listens with it."""
