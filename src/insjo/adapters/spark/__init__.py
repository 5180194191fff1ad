"""Engines behind a Spark Connect address: Sail, or a cluster of Apache Spark."""
