"""Documents, passages, vector indexes, search and cited answers."""
