"""Everything that knows HTTP: one folder a door, pages, templates, static files."""
