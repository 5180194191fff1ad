"""What the gateway costs, measured against the same requests without it."""
