"""Draws the indices of a study as SVG, a panel per segment, with nothing but text: no font, no script, no fetching."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from html import escape
from typing import TypeVar

import numpy as np

from appraisal.arrays import Interval
from contracts.api.market import IndexPoint, MarketSegment, MarketStudy

WIDTH, PANEL_HEIGHT = 860, 340
LEFT, RIGHT, TOP, BOTTOM = 64, 36, 66, 42
MOST_PANELS = 12
INK, FAINT, GRID = "#1f2933", "#5b6670", "#e3e6e8"
HEDONIC, REPEAT, MEDIAN = "#1f5f8b", "#b4451f", "#6b7a3a"
BASE = 100.0
MOST_GRID_LINES = 8
MOST_DOTTED = 24  # months of a panel that are few enough for a dot each; a lone month always has one
WIDEST_SHARE = 6.0  # intervals may stretch a panel to so many times what the indices need

Value = TypeVar("Value")


@dataclass(frozen=True)
class _Scale:
    months: int
    low: float
    high: float
    top: float

    def x(self, place: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * place / max(1, self.months - 1)

    def y(self, index: float) -> float:
        share = (min(max(index, self.low), self.high) - self.low) / (self.high - self.low)
        return self.top + TOP + (PANEL_HEIGHT - TOP - BOTTOM) * (1 - share)


@dataclass(frozen=True)
class _Line:
    color: str
    label: str
    value: Callable[[IndexPoint], float | None]
    interval: Callable[[IndexPoint], Interval | None]
    style: str


LINES = (
    _Line(
        MEDIAN,
        "median price per area (mix not held constant)",
        lambda point: point.median_index,
        lambda _: None,
        'stroke-width="1.3" stroke-dasharray="2 3"',
    ),
    _Line(
        REPEAT,
        "repeat sales",
        lambda point: point.repeat_sales_index,
        lambda point: point.repeat_sales_interval,
        'stroke-width="1.6" stroke-dasharray="6 3"',
    ),
    _Line(
        HEDONIC,
        "hedonic, mix held constant",
        lambda point: point.index,
        lambda point: point.interval,
        'stroke-width="2.4"',
    ),
)


@dataclass(frozen=True)
class KnownIndex:
    """A price level by month from elsewhere, in units of its own."""

    label: str
    levels: Mapping[date, float]


def draw_indices(study: MarketStudy, *, known: KnownIndex | None = None) -> bytes | None:
    """The chart of the segments that have an index, those with most sales first; None where none has.

    `known` is drawn beside them, through 100 at each segment's base month.
    """
    drawn = sorted((part for part in study.segments if part.base_month), key=lambda part: -part.sales)[:MOST_PANELS]
    drawn = [_on_one_base(part) for part in drawn]
    if not drawn:
        return None
    height = PANEL_HEIGHT * len(drawn)
    panels = "\n".join(
        line for number, part in enumerate(drawn) for line in _panel(part, study, known, top=PANEL_HEIGHT * number)
    )
    names = ", ".join(part.segment for part in drawn)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        f' font-family="sans-serif" role="img">\n<title>{escape(f"Price index of {study.county}: {names}")}</title>\n'
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>\n{panels}\n</svg>\n'
    ).encode()


def _panel(part: MarketSegment, study: MarketStudy, known: KnownIndex | None, *, top: float) -> Iterator[str]:
    scale = _scale(part.months, top)
    base = f"{part.base_month:%B %Y}" if part.base_month else ""
    pairs = part.repeat_sales.pairs if part.repeat_sales else 0
    yield _text(LEFT, top + 22, f"{part.segment}: {part.sales:,} sales, {pairs:,} pairs of sales", size=15, color=INK)
    yield _text(
        LEFT, top + 38, f"Price level, {base} = 100; bands are {study.confidence:.0%} intervals", size=11, color=FAINT
    )
    yield from _axes(part.months, scale)
    start = part.base_month
    lines = (_known_line(known, start), *LINES) if known and start and start in known.levels else LINES
    shown = [line for line in lines if any(line.value(point) is not None for point in part.months)]
    for line in shown:
        yield from _bands(part.months, line, scale)
    for line in shown:
        yield from _paths(part.months, line, scale)
    x = float(LEFT)
    for line in reversed(shown):
        yield f'<path d="M{x:.0f} {top + 51:.0f}h22" stroke="{line.color}" fill="none" {line.style}/>'
        yield _text(x + 27, top + 55, line.label, size=11, color=INK)
        x += 52 + 6.1 * len(line.label)


def _on_one_base(part: MarketSegment) -> MarketSegment:
    """Repeat sales whose base month is another meet the hedonic index there, so that the two can be compared."""
    start = part.repeat_sales.base_month if part.repeat_sales else None
    level = next((point.index for point in part.months if point.month == start), None)
    if level is None:
        return part
    share = level / BASE
    months = [
        point.model_copy(
            update={
                "repeat_sales_index": None if point.repeat_sales_index is None else point.repeat_sales_index * share,
                "repeat_sales_interval": _times(point.repeat_sales_interval, share),
            }
        )
        for point in part.months
    ]
    return part.model_copy(update={"months": months})


def _times(interval: Interval | None, share: float) -> Interval | None:
    return None if interval is None else (interval[0] * share, interval[1] * share)


def _known_line(known: KnownIndex, base: date) -> _Line:
    def value(point: IndexPoint) -> float | None:
        level = known.levels.get(point.month)
        return None if level is None else BASE * level / known.levels[base]

    return _Line(INK, known.label, value, lambda _: None, 'stroke-width="6" stroke-opacity="0.25"')


def _scale(months: Sequence[IndexPoint], top: float) -> _Scale:
    """Holds every index, and the intervals as far as they do not flatten them."""
    values = [value for line in LINES for point in months if (value := line.value(point)) is not None]
    ends = [end for line in LINES for point in months for end in line.interval(point) or ()]
    low, high = min(values), max(values)
    room = (WIDEST_SHARE - 1) / 2 * max(high - low, 4.0)
    low, high = max(min([low, *ends]), low - room), min(max([high, *ends]), high + room)
    margin = max(0.06 * (high - low), 0.5)
    return _Scale(len(months), low - margin, high + margin, top)


def _axes(months: Sequence[IndexPoint], scale: _Scale) -> Iterator[str]:
    wanted = (scale.high - scale.low) / MOST_GRID_LINES
    magnitude = 10 ** max(0, int(np.floor(np.log10(wanted))))
    step = magnitude * next(step for step in (1, 2, 5, 10) if step * magnitude >= wanted)
    for index in np.arange(np.ceil(scale.low / step) * step, scale.high, step).tolist():
        y = scale.y(index)
        color = "#8a949e" if index == BASE else GRID
        yield f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{color}"/>'
        yield _text(LEFT - 8, y + 4, f"{index:g}", size=11, color=INK, anchor="end")
    every = max(1, -(-len(months) // 13))
    for place in range(0, len(months), every):
        y = scale.top + PANEL_HEIGHT - BOTTOM + 18
        yield _text(scale.x(place), y, f"{months[place].month:%b %Y}", size=10, color=INK, anchor="middle")


def _bands(months: Sequence[IndexPoint], line: _Line, scale: _Scale) -> Iterator[str]:
    for run in _runs([_ends(line, point) for point in months]):
        upper = [f"{scale.x(place):.1f} {scale.y(ends[1]):.1f}" for place, ends in run]
        lower = [f"{scale.x(place):.1f} {scale.y(ends[0]):.1f}" for place, ends in reversed(run)]
        yield f'<path d="M{"L".join(upper + lower)}Z" fill="{line.color}" fill-opacity="0.13"/>'


def _ends(line: _Line, point: IndexPoint) -> Interval | None:
    """The base month is 100 by definition, where the band has no width."""
    value = line.value(point)
    return (value, value) if value == BASE and line.interval(point) is None else line.interval(point)


def _paths(months: Sequence[IndexPoint], line: _Line, scale: _Scale) -> Iterator[str]:
    for run in _runs([line.value(point) for point in months]):
        points = "L".join(f"{scale.x(place):.1f} {scale.y(value):.1f}" for place, value in run)
        yield f'<path d="M{points}" fill="none" stroke="{line.color}" {line.style}/>'
        for place, value in run if len(run) == 1 or len(months) <= MOST_DOTTED else ():
            yield f'<circle cx="{scale.x(place):.1f}" cy="{scale.y(value):.1f}" r="2.2" fill="{line.color}"/>'


def _runs(values: Sequence[Value | None]) -> list[list[tuple[int, Value]]]:
    """Stretches of months that have a value: a month without one breaks the line."""
    runs: list[list[tuple[int, Value]]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((place, value))
    return [run for run in runs if run]


def _text(x: float, y: float, words: str, *, size: int, color: str, anchor: str = "start") -> str:
    placed = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{color}" text-anchor="{anchor}"'
    return f"<text {placed}>{escape(words)}</text>"
