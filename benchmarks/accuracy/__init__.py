"""How accurate the valuation models are on real sales, beside their goals; each configuration is scored once."""
