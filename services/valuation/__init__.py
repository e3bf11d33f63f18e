"""services/valuation."""
