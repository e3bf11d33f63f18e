"""Counts of what happened to rows, geometries and values while an export was converted."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

LOSSES = {
    "text_truncated": "cut to the format's limit",
    "text_cleaned": "control characters that XML cannot hold were taken out",
    "number_not_finite": "NaN or infinity written as missing",
    "datetime_rounded": "cut to milliseconds",
    "geometry_unreadable": "not readable as WKB, written without geometry",
    "geometry_collapsed": "no area left, or outside the reach of the CRS; written without geometry",
    "geometry_parts_dropped": "points or lines within a collection of polygons were dropped",
    "geometry_dimensions_dropped": "Z or M values were dropped",
}
CHANGES = {
    "geometry_promoted": "made multi-part, so that the layer holds one geometry type",
    "geometry_repaired": "invalid polygon made valid",
    "geometry_empty": "empty geometry written as no geometry",
    "geometry_other_type": "not polygons: written to a layer or file of their own",
}


@dataclass
class Tally:
    """Filled batch by batch; `changes` counts rows by code and field (None for the geometry)."""

    rows_read: int = 0
    without_geometry: int = 0
    source_updated_at: datetime | None = None
    changes: Counter[tuple[str, str | None]] = field(default_factory=Counter)

    def count(self, code: str, rows: int, *, name: str | None = None) -> None:
        """Add `rows` under a code of LOSSES or CHANGES."""
        if rows:
            self.changes[code, name] += rows

    def geometry(self, code: str) -> int:
        """Rows counted under a geometry code."""
        return self.changes[code, None]
