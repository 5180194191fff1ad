"""Catalogs, schemas, tables, views, volumes, functions, tags and lineage."""
