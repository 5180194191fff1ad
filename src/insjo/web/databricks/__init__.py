"""Databricks REST doors: identity, tokens, Unity Catalog, statements, warehouses and files."""
