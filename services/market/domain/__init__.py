"""How prices move: trend and index by segment, month and neighbourhood, the mix of sales held constant."""
