"""The public face of the SQL room."""
