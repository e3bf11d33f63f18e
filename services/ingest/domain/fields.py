"""The canonical fields of the entities, with the type that each is stored as."""

import polars as pl

TEXT, MONEY, NUMBER, INTEGER, DATE, GEOMETRY = "text", "money", "number", "integer", "date", "geometry"

PARCEL = {
    **dict.fromkeys(
        (
            "parcel_number",
            "property_type",
            "use_code",
            "neighborhood",
            "zoning",
            "situs_address",
            "situs_city",
            "situs_zip",
            "legal_description",
            "building_class",
            "condition",
        ),
        TEXT,
    ),
    **dict.fromkeys(
        (
            "land_value_usd",
            "improvement_value_usd",
            "total_value_usd",
            "market_value_usd",
            "taxable_value_usd",
            "prior_total_value_usd",
            "cost_approach_value_usd",
            "income_approach_value_usd",
            "market_approach_value_usd",
        ),
        MONEY,
    ),
    **dict.fromkeys(("year_built", "effective_year_built"), INTEGER),
    **dict.fromkeys(
        ("living_area_sqft", "land_area_sqft", "bedrooms", "bathrooms", "stories", "longitude", "latitude"), NUMBER
    ),
    "inactive_date": DATE,
    "geometry": GEOMETRY,
}
OWNER = {"name": TEXT, "mailing_address": TEXT, "ownership_percent": NUMBER}
SALE = {
    "sale_date": DATE,
    "sale_price_usd": MONEY,
    "adjusted_price_usd": MONEY,
    "deed_type": TEXT,
    "validity_code": TEXT,
    "recorded_date": DATE,
    "living_area_sqft": NUMBER,
    "land_area_sqft": NUMBER,
    "year_built": INTEGER,
}
NEIGHBORHOOD = {"name": TEXT}

POLARS_TYPES: dict[str, type[pl.DataType]] = {
    TEXT: pl.String,
    MONEY: pl.Float64,
    NUMBER: pl.Float64,
    INTEGER: pl.Int64,
    DATE: pl.String,
    GEOMETRY: pl.String,
}


def cast(value: pl.Expr, kind: str) -> pl.Expr:
    """A source value as its canonical type: blank texts are null, money has cents, a date has no time."""
    if kind in {MONEY, NUMBER, INTEGER}:
        number = value.cast(pl.Float64, strict=False)
        return number.round(2) if kind == MONEY else number.cast(pl.Int64) if kind == INTEGER else number
    text = value.cast(pl.String).str.strip_chars()
    if kind == DATE:
        text = text.str.slice(0, 10)
    return pl.when(text != "").then(text)
