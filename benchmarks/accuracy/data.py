"""The sales that accuracy is measured on: read from `TERRAFUSION_SHARED_DATA`, or shared/data beside the checkout."""

import os
from pathlib import Path

import polars as pl
import yaml

from benchmarks.accuracy.scorings import ROOT
from services.valuation.domain.sale_file import read_sales
from services.valuation.domain.sales import Sales

FOLDER = Path(os.environ.get("TERRAFUSION_SHARED_DATA") or ROOT.parent / "shared" / "data")


def king_county() -> Sales:
    """King County's sales of May 2014 to May 2015."""
    return _sales(_text(FOLDER / "king_county_wa" / "sales.csv"), "king_county_wa")


def lebanon() -> Sales:
    """Lebanon's qualified sales with what is known of the properties today."""
    return _sales(lebanon_table(), "lebanon_nh")


def lebanon_table() -> pl.DataFrame:
    """Qualified sales joined with the properties."""
    sales = _text(FOLDER / "lebanon_nh" / "sales.csv").filter(pl.col("qualified") == "Q")
    return sales.join(_text(FOLDER / "lebanon_nh" / "properties.csv"), on="parcel_id", maintain_order="left")


def _text(path: Path) -> pl.DataFrame:
    return pl.read_csv(path, infer_schema=False)


def _sales(table: pl.DataFrame, name: str) -> Sales:
    fields = yaml.safe_load(Path(__file__).with_name(f"{name}.yaml").read_text(encoding="utf-8"))
    ignore = fields.pop("ignore", [])
    return read_sales(table, fields, ignore=ignore).sales
