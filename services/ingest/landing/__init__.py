"""From batches of rows to landed rows: judged, compared, staged, merged."""
