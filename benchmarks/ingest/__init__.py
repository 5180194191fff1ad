"""What loading files costs."""
