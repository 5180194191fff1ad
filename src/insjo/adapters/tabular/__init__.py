"""Files that the engine does not read by itself, turned into CSV or Parquet by bounded child processes."""
