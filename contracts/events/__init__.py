"""contracts/events."""
