"""services/market."""
