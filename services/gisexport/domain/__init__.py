"""What an export plans, converts and reports, without touching a file."""
