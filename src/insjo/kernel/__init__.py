"""Errors, request context, settings, database, clock, ids, paging, limits and supervised processes; no business nouns."""
