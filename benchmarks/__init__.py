"""Measurements against peers; README.md says how."""
