"""services/gateway."""
