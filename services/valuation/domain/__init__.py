"""What a property is worth, from the sales of others: pure functions over numpy arrays."""
