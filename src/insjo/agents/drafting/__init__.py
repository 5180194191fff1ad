"""SQL for plain questions by rules: every word of a question must be understood, or no statement is made."""
