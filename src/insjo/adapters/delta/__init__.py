"""Delta tables on the local disk: snapshots from the log, atomic commits, checkpoints."""
