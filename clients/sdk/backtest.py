"""`terrafusion valuation backtest`: the production models on any file of sales, by the chronological protocol."""

# Numerical libraries take most of a second to import: commands import them when they run.
# ruff: noqa: PLC0415

import json
import os
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
import yaml

if TYPE_CHECKING:
    import polars as pl

    from services.valuation.domain.backtest import Backtest
    from services.valuation.domain.sale_file import SaleFile

REFUSED = 2  # exit code for input that cannot be used, as for a wrong option
ACCURACY = ("mdape", "mape", "within10", "within20", "r2", "interval_coverage")
EQUITY = ("median_ratio", "cod", "prd", "prb", "mki", "vei")
COSTS = ("train_seconds", "predict_rows_per_second", "peak_memory_mb")


def backtest_command(
    file: Annotated[Path, typer.Argument(help="CSV file with a header line, one sale per row.")],
    *,
    fields: Annotated[
        Path, typer.Option(help="YAML: column by field (sale_price, sale_date, …) and ignore: [columns].")
    ],
    split_date: Annotated[str, typer.Option(help="Train on sales before this day, test from it on: YYYY-MM-DD.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON rather than a table.")] = False,
) -> None:
    """Measure every model of a valuation run, and three baselines, on sales that they have not seen."""
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    mapping, ignore = _fields(fields)
    split = _date(split_date)
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    from appraisal.errors import AppraisalError
    from services.valuation.domain.backtest import backtest
    from services.valuation.domain.refusal import ValuationRefusedError
    from services.valuation.domain.sale_file import read_sales

    try:
        read = read_sales(_table(file), mapping, ignore=ignore)
        with threadpool_limits(limits=1):
            measured = backtest(read.sales, split)
    except (ValuationRefusedError, AppraisalError) as error:
        _refuse(f"{file}: {error} ({error.code})")
    if as_json:
        told = {"left_out": dict(read.left_out), "features": dict(read.features), "notes": list(read.notes)}
        print(json.dumps({**measured.to_json(), **told}, indent=2, allow_nan=False))
    else:
        _print(measured, read)


def _fields(path: Path) -> tuple[dict[str, str], list[str]]:
    """Columns by field, and the columns to leave out."""
    try:
        said: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        _refuse(f"{path}: not readable as YAML: {str(error).splitlines()[0]} (fields_unreadable)")
    if not isinstance(said, dict):
        _refuse(f"{path}: must be a mapping of field to column (fields_unreadable)")
    ignore = said.pop("ignore", None) or []
    if not isinstance(ignore, list) or not all(isinstance(column, str) for column in ignore):
        _refuse(f"{path}: ignore must be a list of columns (fields_unreadable)")
    for name, column in said.items():
        if not isinstance(column, str):
            _refuse(f"{path}: {name} must name one column, not {column!r} (fields_unreadable)")
    return {str(name): column for name, column in said.items()}, ignore


def _date(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if day == date.min:  # has no day before it
        _refuse(f"--split-date must be a day such as 2025-03-01, not {text!r} (date_unreadable)")
    return day


def _table(file: Path) -> "pl.DataFrame":
    """The file's columns as text."""
    import polars as pl

    if not file.is_file():
        _refuse(f"{file}: no such file (file_missing)")
    try:
        table = pl.read_csv(file, infer_schema=False, encoding="utf8-lossy")
    except (pl.exceptions.PolarsError, OSError) as error:
        _refuse(f"{file}: not a readable CSV file: {str(error).splitlines()[0]} (file_unreadable)")
    for name in table.columns:
        if f"{name}_duplicated_0" in table.columns:  # as polars names the second of two
            _refuse(f"{file}: more than one column {name!r} (column_repeated)")
    return table


def _refuse(message: str) -> NoReturn:
    typer.echo(f"terrafusion valuation backtest: {message}", err=True)
    raise typer.Exit(REFUSED)


def _print(measured: "Backtest", read: "SaleFile") -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    console.print(
        f"Fitted on {measured.train} sales before {measured.split_date}, judged on {measured.test} from then on; "
        "nothing trimmed.",
        highlight=False,
    )
    for reason, count in read.left_out.items():
        console.print(f"Left out: {count} rows ({reason})", highlight=False)
    for note in read.notes:
        console.print(escape(note), highlight=False)
    for names in (ACCURACY, EQUITY, COSTS):
        table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
        table.add_column("model", no_wrap=True)
        for name in names:
            table.add_column(name.replace("_", "\n"), justify="right", no_wrap=True)
        for model, figures in measured.models.items():
            told = figures.to_json()
            table.add_row(model, *(_cell(name, told.get(name)) for name in names))
        console.print(table)


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    places = (
        3 if name in {"median_ratio", "prd", "prb", "mki", "r2"} else 0 if name.startswith(("predict", "peak")) else 2
    )
    return f"{value:.{places}f}"
