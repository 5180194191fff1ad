"""Our own API, only where no standard exists."""
