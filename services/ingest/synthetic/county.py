"""Makes a synthetic county in a source database, and later plays its planted changes into it."""

from pathlib import Path

import numpy as np
import polars as pl
import psycopg
from psycopg import sql

from services.ingest.synthetic import deeds, roll, structures
from services.ingest.synthetic.casting import Cast, cast_parts
from services.ingest.synthetic.changes import plan_changes
from services.ingest.synthetic.codes import code_frames
from services.ingest.synthetic.dirt import plant_dirt
from services.ingest.synthetic.layers import Frames, add_layers
from services.ingest.synthetic.load import create_read_only_login, load_source
from services.ingest.synthetic.prices import (
    ASSESSMENT_LEVEL,
    ASSESSMENT_REGRESSIVITY,
    MONTHLY_TREND_PERCENT,
    PRICE_NOISE_SD,
    PROCESS,
)
from services.ingest.synthetic.sales import Validity
from services.ingest.synthetic.shape import SCHEMA
from services.ingest.synthetic.streets import SRID
from services.ingest.synthetic.truth import DirtyRow, Expected, PlantedChange, RowChange, Truth
from services.ingest.synthetic.world import World, build_world

__all__ = ["apply_changes", "create_read_only_login", "imagine", "read_truth", "synthesize", "write_truth"]


def synthesize(source_url: str, *, county: str, parcels: int, seed: int, tax_year: int = 2026) -> Truth:
    """Drops the source's schema, makes the county there, and answers the truth about it.

    Raises:
        ValueError: fewer than 300 parcels.
        PermanentError: `source_not_synthetic`, the database holds a schema `dbo` that no synthesis made.
    """
    frames, truth = imagine(county=county, parcels=parcels, seed=seed, tax_year=tax_year)
    load_source(source_url, frames)
    return truth


def imagine(*, county: str, parcels: int, seed: int, tax_year: int = 2026) -> tuple[Frames, Truth]:
    """The county's rows by table, and the truth; equal arguments give equal bytes."""
    world = build_world(parcels=parcels, seed=seed, tax_year=tax_year)
    rng = np.random.default_rng(np.random.SeedSequence([seed, parcels, 1]))
    cast = cast_parts(rng, world)
    frames = add_layers(
        world,
        _base_frames(world),
        accepted=world.prop_id[cast.accepted],
        pending=world.prop_id[cast.pending],
        future=world.prop_id[cast.future],
    )
    frames, dirty = plant_dirt(world, frames, parcels=cast.dirty_parcels, sales=cast.dirty_sales)
    truth = Truth(
        county=county,
        seed=seed,
        tax_year=tax_year,
        parcels=parcels,
        sales=frames["sale"].height,
        srid=SRID,
        monthly_trend_percent=MONTHLY_TREND_PERCENT,
        price_noise_sd=PRICE_NOISE_SD,
        process={name: list(v) if isinstance(v, tuple) else v for name, v in PROCESS.to_dict().items()},
        neighborhood_effects=dict(
            zip(world.neighborhood_codes.tolist(), world.neighborhood_effects.tolist(), strict=True)
        ),
        assessment_level=ASSESSMENT_LEVEL,
        assessment_regressivity=ASSESSMENT_REGRESSIVITY,
        never_read={"account.dl_num": deeds.LICENCE_MARK},
        expected=_count(world, frames, cast, dirty),
        dirty_rows=dirty,
        incremental_changes=plan_changes(world, frames, cast),
    )
    return frames, truth


def _base_frames(world: World) -> Frames:
    years = (
        structures.Layer(world, world.tax_year - 1, world.prior),
        structures.Layer(world, world.tax_year, world.current),
    )
    layered = {
        "property_val": roll.value_rows,
        "prop_supp_assoc": roll.pointer_rows,
        "property_profile": roll.profile_rows,
        "owner": deeds.owner_rows,
        "land_detail": structures.land_rows,
        "imprv": structures.building_rows,
        "imprv_detail": structures.detail_rows,
        "imprv_attr": structures.attribute_rows,
    }
    return {
        **code_frames(world),
        "supplement": pl.DataFrame(schema=dict.fromkeys(("sup_tax_yr", "sup_num", "sup_group_id"), pl.Int64)),
        "property": roll.property_rows(world),
        "account": deeds.account_rows(world),
        "address": deeds.address_rows(world),
        "situs": roll.situs_rows(world),
        "parcelsandassess": roll.polygon_rows(world),
        "chg_of_owner": deeds.transfer_rows(world),
        "chg_of_owner_prop_assoc": deeds.transfer_parcel_rows(world),
        "sale": deeds.sale_rows(world),
        **{table: pl.concat([rows(year) for year in years]) for table, rows in layered.items()},
    }


def _count(world: World, frames: Frames, cast: Cast, dirty: list[DirtyRow]) -> Expected:
    sales = world.sales
    is_sale = sales.validity != Validity.NO_SALE
    is_clean = is_sale.copy()
    is_clean[cast.dirty_sales] = False
    is_qualified = is_clean & (sales.validity == Validity.VALID)
    pointer = frames["prop_supp_assoc"].filter(pl.col("owner_tax_yr") == world.tax_year)
    working = frames["property_val"].join(
        pointer, left_on=["prop_id", "prop_val_yr", "sup_num"], right_on=["prop_id", "owner_tax_yr", "sup_num"]
    )
    real = working.filter(pl.col("prop_id").is_in(world.prop_id[: world.parcels].tolist()))
    return Expected(
        active_real_parcels=world.parcels,
        inactive_properties=world.inactive,
        personal_properties=world.personal,
        clean_parcels=world.parcels - len(cast.dirty_parcels),
        accepted_supplements=len(cast.accepted),
        pending_supplements=len(cast.pending),
        future_year_properties=len(cast.future),
        deeds=len(sales.day),
        sales=int(is_sale.sum()),
        clean_sales=int(is_clean.sum()),
        qualified_sales=int(is_qualified.sum()),
        qualified_single_parcel_sales=int((is_qualified & (sales.parcel_count == 1)).sum()),
        multi_parcel_sales=int((is_sale & (sales.parcel_count > 1)).sum()),
        neighborhoods=len(world.neighborhood_effects),
        market_value_usd=int(real["market"].sum()),
        rows={table: frame.height for table, frame in frames.items()},
    )


def apply_changes(source_url: str, truth: Truth) -> list[PlantedChange]:
    """Plays the planted changes into the source, each in a transaction of its own; answers what it played.

    Raises:
        LookupError: a row that a change is about is not there, as after a second playing.
    """
    with psycopg.connect(source_url, autocommit=True) as connection:
        for change in truth.incremental_changes:
            with connection.transaction():
                for row in change.rows:
                    _play(connection, change.name, row)
    return truth.incremental_changes


def _play(connection: psycopg.Connection, name: str, row: RowChange) -> None:
    table = sql.Identifier(SCHEMA, row.table)
    where = sql.SQL(" AND ").join(sql.SQL("{} = {}").format(sql.Identifier(k), sql.Placeholder()) for k in row.key)
    if row.op == "c":
        cells = {**row.key, **row.fields}
        columns = sql.SQL(", ").join(map(sql.Identifier, cells))
        marks = sql.SQL(", ").join(sql.Placeholder() * len(cells))
        done = connection.execute(
            sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(table, columns, marks), list(cells.values())
        )
    elif row.op == "u":
        sets = sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(field), sql.Placeholder()) for field in row.fields
        )
        done = connection.execute(
            sql.SQL("UPDATE {} SET {} WHERE {}").format(table, sets, where),
            [*row.fields.values(), *row.key.values()],
        )
    else:
        done = connection.execute(sql.SQL("DELETE FROM {} WHERE {}").format(table, where), list(row.key.values()))
    if done.rowcount != 1:
        raise LookupError(f"{name}: {row.op} on {row.table} {row.key} met {done.rowcount} rows")


def write_truth(path: Path, truth: Truth) -> None:
    """Writes the truth as JSON, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(truth.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read_truth(path: Path) -> Truth:
    """Reads what `write_truth` wrote."""
    return Truth.model_validate_json(path.read_text(encoding="utf-8"))
