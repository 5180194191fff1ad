"""Bringing files and foreign tables into tables of the lake."""
