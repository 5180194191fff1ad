"""One folder a foreign system: the only importers of engines and network clients."""
