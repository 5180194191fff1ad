"""Repurposing models: data sets from queries, fine-tuning runs, comparisons."""
