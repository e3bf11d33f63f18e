"""The canonical record, built of landed rows, and what is told of it."""
