"""The parts of a market, by use code."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class Segment:
    """A part of the market: sales whose use code begins with one of `begins` and none of `but_not`."""

    name: str
    begins: tuple[str, ...]
    but_not: tuple[str, ...] = ()

    def of(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows (sales or parcels) whose `use_code` is of this segment."""
        codes = [code or "" for code in rows["use_code"].cast(pl.String).to_list()]
        belongs = [code.startswith(self.begins) and not code.startswith(self.but_not) for code in codes]
        return rows.filter(pl.Series(belongs, dtype=pl.Boolean))


def segments_asked(names: Sequence[str] | None, *, residential: Sequence[str], vacant: Sequence[str]) -> list[Segment]:
    """The segments of these names, by the county's use codes; without names those of every kind.

    A county file without use codes has one segment, `all`.
    """
    groups = {
        "improved_residential": Segment("improved_residential", tuple(residential)),
        "vacant_land": Segment("vacant_land", tuple(vacant)),
        "other": Segment("other", ("",), (*residential, *vacant)),
    }
    if names is not None:
        return [groups.get(name, Segment(name, (name,))) for name in dict.fromkeys(names)]
    return list(groups.values()) if residential or vacant else [Segment("all", ("",))]
