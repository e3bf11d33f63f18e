"""services/gisexport."""
