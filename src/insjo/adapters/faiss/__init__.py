"""Indexes of vectors as files, by faiss."""
