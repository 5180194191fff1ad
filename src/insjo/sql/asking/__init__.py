"""Functions that ask models: `ai_query` and its kin, from the call in a tree to the answers in its place."""
