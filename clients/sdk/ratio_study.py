"""`terrafusion ratio-study`: the IAAO statistics of a file of estimates and sale prices."""

# Numerical libraries take most of a second to import: commands import them when they run.
# ruff: noqa: PLC0415

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    import polars as pl

    from appraisal.ratio_study import RatioStudy

REFUSED = 2  # exit code for input that cannot be used, as for a wrong option
NO_GROUP = "(none)"


def ratio_study_command(
    file: Annotated[Path, typer.Argument(help="CSV file with a header line, one sale per row.")],
    *,
    estimate: Annotated[str, typer.Option(help="Column of the estimate or assessed value, USD.")],
    sale_price: Annotated[str, typer.Option(help="Column of the sale price, USD.")],
    group: Annotated[str | None, typer.Option(help="Column to study by as well, such as a town.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON rather than a table.")] = False,
) -> None:
    """Study ratios of estimates to sale prices: level, uniformity, vertical equity, with 95 % intervals."""
    from appraisal.errors import AppraisalError
    from appraisal.ratio_study import ratio_study, study_by_group

    sales = _read(file, [name for name in (estimate, sale_price, group) if name is not None])
    estimates, prices = _numbers(sales, estimate), _numbers(sales, sale_price)
    try:
        overall = ratio_study(estimates, prices)
        groups = None
        if group is not None:
            groups = study_by_group(estimates, prices, sales[group].fill_null(NO_GROUP).to_list())
    except AppraisalError as error:
        _refuse(f"{file}: {error} ({error.code})")
    if as_json:
        print(json.dumps(_to_json(overall, groups), indent=2, allow_nan=False))
    else:
        _print_table(overall, groups)


def _read(file: Path, columns: list[str]) -> "pl.DataFrame":
    """The file's columns as text; refused where the file or one of the columns is not there."""
    import polars as pl

    if not file.is_file():
        _refuse(f"{file}: no such file")
    try:
        table = pl.read_csv(file, infer_schema=False, encoding="utf8-lossy")
    except (pl.exceptions.PolarsError, OSError) as error:
        _refuse(f"{file}: not a readable CSV file: {str(error).splitlines()[0]}")
    for name in columns:
        if name not in table.columns:
            _refuse(f"{file}: no column {name!r}; it has {', '.join(map(repr, table.columns))}")
        if f"{name}_duplicated_0" in table.columns:  # as polars names the second of two
            _refuse(f"{file}: more than one column {name!r}")
    return table


def _numbers(sales: "pl.DataFrame", name: str) -> list[float]:
    """A column as numbers above zero; rows count from 1 after the header."""
    numbers = []
    for row, text in enumerate(sales[name], start=1):
        number = _to_number(text or "")
        if number is None or number <= 0:
            problem = "is empty" if not text else "is not a number" if number is None else "is not above zero"
            _refuse(f"{name} {problem} in row {row} (line {row + 1} of the file): {text or ''!r}")
        numbers.append(number)
    return numbers


def _to_number(text: str) -> float | None:
    """A plain decimal number; Python's own digit grouping (1_000) is none, nor are nan and inf."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in text else None


def _refuse(message: str) -> NoReturn:
    typer.echo(f"terrafusion ratio-study: {message}", err=True)
    raise typer.Exit(REFUSED)


def _to_json(overall: "RatioStudy", groups: "dict[str, RatioStudy] | None") -> dict[str, Any]:
    if groups is None:
        return overall.to_json()
    return {
        "overall": overall.to_json(),
        "groups": {name: study.to_json() for name, study in groups.items()},
    }


def _print_table(overall: "RatioStudy", groups: "dict[str, RatioStudy] | None") -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from appraisal.ratio_study import STATISTICS

    console = Console()
    table = Table("statistic", title=f"Ratio study of {overall.n} sales")
    for heading in ("value", "95 % low", "95 % high"):
        table.add_column(heading, justify="right")
    for name in STATISTICS:
        low, high = getattr(overall, f"{name}_interval") or (None, None)
        table.add_row(name, _cell(getattr(overall, name)), _cell(low), _cell(high))
    console.print(table)
    if groups is None:
        return
    by_group = Table(title="By group", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    by_group.add_column("group", overflow="fold")
    for heading in ("n", *STATISTICS):  # numbers keep their width, names of groups fold
        by_group.add_column(heading.replace("_", "\n"), justify="right", no_wrap=True)
    for name, study in groups.items():
        values = [_cell(getattr(study, statistic), places=3) for statistic in STATISTICS]
        by_group.add_row(escape(name), str(study.n), *values)
    console.print(by_group)


def _cell(value: float | None, *, places: int = 4) -> str:
    return "-" if value is None else f"{value:.{places}f}"
