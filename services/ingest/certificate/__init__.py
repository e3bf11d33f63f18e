"""Certificates: whether what the source holds is in the record, to the row and the cent; signed."""
