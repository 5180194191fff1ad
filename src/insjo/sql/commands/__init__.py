"""What statements do: one module a family."""
