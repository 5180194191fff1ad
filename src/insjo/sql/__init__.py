"""Warehouses, statements, results and ingest."""
