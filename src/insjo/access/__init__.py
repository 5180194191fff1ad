"""Who may see what, and what may leave: principals, grants, labels, clearances, audit."""
