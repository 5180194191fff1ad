"""Databricks SQL in the engine's words: a typed compiler whose every function is either right or refused."""
