"""Indexes of words as files, by tantivy."""
