"""A delivery as a source: a folder of CSV, fixed-width, GeoJSON, Shapefile and GeoPackage files."""

from services.ingest.sources.files.source import open_files as open_files
