"""How each table is followed: readers turn what a source has into batches of rows."""
