"""From names to tables: rights, views, labels, and the text that an engine may see."""
