"""How values are written in a report that people read."""

from datetime import date, datetime

from services.reporting.domain.document import Cell, Figure, Kind

DECIMALS: dict[Kind, int] = {
    "year": 0,
    "integer": 0,
    "usd": 0,
    "ratio": 3,
    "decimal": 2,
    "signed": 3,
    "percent": 1,
}
ABSENT = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"


def written(value: Cell, kind: Kind) -> str:
    """A value as a reader sees it; an absent one is a dash."""
    if value is None or value == "":
        return ABSENT
    if isinstance(value, str):
        return value
    grouping = "" if kind == "year" else ","
    sign = "+" if kind == "signed" else ""
    text = f"{value:{sign}{grouping}.{DECIMALS.get(kind, 2)}f}"
    if not text.strip("+-0.,"):  # never a signed zero
        text = text.lstrip("+-")
    return text.replace("-", MINUS) + ("%" if kind == "percent" else "")


def written_span(low: float | None, high: float | None, kind: Kind) -> str:
    """Two bounds as `low to high`; a dash where either is absent."""
    if low is None or high is None:
        return ABSENT
    return f"{written(low, kind)} to {written(high, kind)}"


def written_figure(figure: Figure) -> tuple[str, str, str, str, str]:
    """A key figure as label, value, interval, range and finding."""
    return (
        figure.label,
        written(figure.value, figure.kind),
        written_span(figure.low, figure.high, figure.kind),
        written_span(figure.range_low, figure.range_high, figure.kind),
        figure.finding.text if figure.finding else ABSENT,
    )


def written_level(confidence_level: float) -> str:
    """A confidence level as a percentage without needless digits: 0.95 is `95%`."""
    return f"{100 * confidence_level:g}%"


def written_date(day: date | datetime) -> str:
    """A date as month day, year; a time adds the UTC hour and minute."""
    text = f"{day:%B} {day.day}, {day.year}"
    return f"{text}, {day:%H:%M} UTC" if isinstance(day, datetime) else text
