"""Files in folders of the local disk."""
