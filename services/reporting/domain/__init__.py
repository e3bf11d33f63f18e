"""Turns rows into a report's document, without reading or writing anything."""
