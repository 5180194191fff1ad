"""The public face of retrieval, one module for each noun."""
