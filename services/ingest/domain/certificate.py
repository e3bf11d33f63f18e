"""What a certificate says, line by line: two sides of a pair laid beside each other, and by how much they differ."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Literal

from contracts.mapping import Pair
from services.ingest.domain.tallies import EXACT, Count, Layer, Sums, Tally

FORMAT = "terrafusion-certificate/1"
Depth = Literal["counted", "complete"]
SHOWN_DIFFERENCES = 100


@dataclass(frozen=True, slots=True)
class Line:
    """One comparison; `holds` is null where this depth cannot tell, and `note` then says why."""

    name: str
    source: str | int | None
    landed: str | int | None
    holds: bool | None
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As the document has it."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass
class SourceSide:
    """A table as its source gave it, judged by the mapping's rules."""

    accepted: Tally = field(default_factory=Tally)
    rows_read: int = 0
    rows_quarantined: int = 0
    rows_filtered: int = 0
    quarantine: Count = field(default_factory=Count)
    """Keys with the rules that they break, each once."""
    filtered: Count = field(default_factory=Count)
    """Contents of rows that the mapping leaves out, each once."""
    database_rows: int | None = None
    """So many rows with a whole key the source counts itself."""


@dataclass
class LandedSide:
    """A table as it stands in the operational database; everything is computed anew from what is stored."""

    accepted: Tally = field(default_factory=Tally)
    quarantine: Count = field(default_factory=Count)
    filtered: Count = field(default_factory=Count)
    held: int = 0
    """Rows in quarantine of which an older, good version is landed and counts on."""
    damaged: int = 0
    """Images that are no rows."""
    wrong_digests: int = 0
    wrong_links: int = 0
    unmasked: int = 0
    unplaced: int = 0
    """Rows that no range has yet: a marker brought them."""


def complete_lines(source: SourceSide, landed: LandedSide, *, lands_filtered: bool, has_ranges: bool) -> list[Line]:
    """Every comparison of a table both of whose sides were streamed."""
    left, right = source.accepted, landed.accepted
    lines = [
        _identity(source, landed),
        _same("keys", left.keys, right.keys),
        _same("contents", left.content, right.content),
        *money_lines(left.sums, right.sums),
        _same("quarantine", source.quarantine, landed.quarantine),
    ]
    if source.database_rows is not None:
        lines.append(
            _count("source_count", source.database_rows, source.rows_read, "rows counted and rows read differ")
        )
    if lands_filtered:
        lines.append(_same("left_out", source.filtered, landed.filtered))
    if has_ranges:
        lines.append(_ranges(left, landed))
    return [*lines, *_soundness(landed)]


def not_loaded(pair: Pair, lines: Iterable[Line]) -> list[Line]:
    """The lines as they are to be read of a pair that follows from a day on and never loaded what was there before."""
    if pair.following.snapshot_mode != "no_data":
        return list(lines)
    note = "what was there before the pair was followed is not loaded"
    return [replace(line, holds=None, note=note) if line.holds is False else line for line in lines]


def money_lines(source: Sums, landed: Sums) -> list[Line]:
    """A line for each column whose sums differ in some year and supplement, or one for all that agree."""
    differing = sorted(place for place in source.keys() | landed.keys() if source.get(place, 0) != landed.get(place, 0))
    if not differing:
        return [Line("sums", len(source), len(landed), holds=True)] if source or landed else []
    return [
        _sum(column, layer, *(side.get((column, layer), Decimal()) for side in (source, landed)))
        for column, layer in differing
    ]


def _sum(column: str, layer: Layer, source: Decimal, landed: Decimal) -> Line:
    note = f"landed differs by {spelt(EXACT.subtract(landed, source))}"
    return Line(f"sum of {column}, {layer_name(layer)}", spelt(source), spelt(landed), holds=False, note=note)


def counted_identity(
    source_rows: int | None, landed: int, *, quarantined: int, filtered: int | None, why_not: str
) -> Line:
    """Source = landed + quarantined + filtered, as far as it can be told without reading the rows again.

    `filtered` is null where nothing stored says how many rows the mapping leaves out; then only too many landed rows
    can be told from what is left out, and `why_not` says so.
    """
    if source_rows is None:
        return Line("rows", None, landed, holds=None, note="the source counts its rows only by giving them all")
    known = landed + quarantined + (filtered or 0)
    if filtered is None and known <= source_rows:
        note = f"{source_rows - known} rows are held to be left out: {why_not}"
        return Line("rows", source_rows, known, holds=None, note=note)
    return _count("rows", source_rows, known, "landed, quarantined and left out make")


def tally_document(tally: Tally) -> dict[str, Any]:
    """A side in the document: counts and digests as texts, which no reader of JSON rounds."""
    return {
        "rows": tally.rows,
        "keys": str(tally.keys),
        "contents": str(tally.content),
        "sums": sums_document(tally.sums),
    }


def sums_document(sums: Sums) -> dict[str, dict[str, str]]:
    """Sums by column, then by tax year and supplement."""
    found: dict[str, dict[str, str]] = {}
    for (column, layer), value in sorted(sums.items()):
        found.setdefault(column, {})[layer_name(layer)] = spelt(value)
    return found


def layer_name(layer: tuple[str, str]) -> str:
    """`2026/3`; `all` of a table without years."""
    return "/".join(part for part in layer if part) or "all"


def spelt(value: Decimal) -> str:
    """A number without zeros at its end."""
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"", "-0"} else text


def failing(tables: Mapping[str, Sequence[Line]], others: Iterable[Line]) -> list[str]:
    """The names of the lines that do not hold."""
    found = [
        f"{table}: {line.name}" for table, lines in sorted(tables.items()) for line in lines if line.holds is False
    ]
    return found + [line.name for line in others if line.holds is False]


def _identity(source: SourceSide, landed: LandedSide) -> Line:
    known = landed.accepted.rows + source.rows_quarantined + source.rows_filtered
    note = "landed, quarantined and left out make"
    return _count("rows", source.rows_read, known, note)


def _count(name: str, source: int, landed: int, what: str) -> Line:
    difference = landed - source
    note = f"{what}: {abs(difference)} {'too many' if difference > 0 else 'too few'}" if difference else ""
    return Line(name, source, landed, holds=difference == 0, note=note)


def _same(name: str, source: Count, landed: Count) -> Line:
    if source == landed:
        return Line(name, str(source), str(landed), holds=True)
    rows = landed.rows - source.rows
    note = f"{abs(rows)} {'too many' if rows > 0 else 'missing'}" if rows else "as many, but others"
    return Line(name, str(source), str(landed), holds=False, note=note)


def _ranges(source: Tally, landed: LandedSide) -> Line:
    left, right = source.ranges, landed.accepted.ranges
    numbers = {number for number in left.keys() | right.keys() if number is not None}
    differing = sorted(n for n in numbers if left.get(n, Count()) != right.get(n, Count()))
    shown = ", ".join(map(str, differing[:10])) + (" …" if len(differing) > 10 else "")
    if differing and landed.unplaced:
        note = f"{landed.unplaced} rows stand in no range yet"
        return Line("ranges", len(numbers), len(numbers) - len(differing), holds=None, note=note)
    note = f"ranges {shown} differ" if differing else ""
    return Line("ranges", len(numbers), len(numbers) - len(differing), holds=not differing, note=note)


def _soundness(landed: LandedSide) -> list[Line]:
    """What has to be true of landed rows by themselves."""
    said = {
        "images": (landed.damaged, "images are no rows of the table"),
        "stored_digests": (landed.wrong_digests, "stored digests are not those of their rows"),
        "links": (landed.wrong_links, "rows are linked otherwise than they say"),
        "masks": (landed.unmasked, "images show what is personal"),
    }
    return [
        Line(name, 0, found, holds=not found, note=f"{found} {words}" if found else "")
        for name, (found, words) in said.items()
    ]
