"""Events on the bus, one module per publisher."""
