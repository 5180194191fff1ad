"""What the room asks of foreign systems."""
