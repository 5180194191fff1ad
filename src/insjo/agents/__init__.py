"""AI apps, conversations, evaluations and the built-in assistant."""
