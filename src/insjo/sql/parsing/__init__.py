"""Reading SQL text: the kinds of statement that Insjö knows, and nothing else."""
