"""DuckDB as the SQL engine: a pool of supervised, locked-down worker processes, one statement each at a time."""
