"""contracts/api."""
