"""The rows of owners and of transfers: account, address, owner, chg_of_owner, its parcels, sale."""

import numpy as np
import polars as pl

from services.ingest.synthetic.houses import QUALITY_CODES, Use
from services.ingest.synthetic.local_time import local_time, repeat_time
from services.ingest.synthetic.sales import Validity
from services.ingest.synthetic.structures import BUILDING_TYPES, SQFT_PER_ACRE, Layer
from services.ingest.synthetic.world import World

#: a licence number as the source may hold one and the platform must never read; marked, so a test can look
LICENCE_MARK = "DLSYN"
_RATIO_TYPE_CODES = ("00", "01", "02", "")
_COUNTY_RATIO_CODES = ("100", "200", "400", "")


def account_rows(world: World) -> pl.DataFrame:
    """Owners' names; blank first and last names where a company owns."""
    owners, count = world.owners, len(world.account_id)
    return pl.DataFrame(
        {
            "acct_id": world.account_id,
            "first_name": owners.first_name,
            "last_name": owners.last_name,
            "file_as_name": owners.file_as_name,
            "dl_num": [f"{LICENCE_MARK}{number % 100_000:05d}" for number in range(count)],
            "dl_state": np.full(count, "WA"),
            "acct_create_dt": repeat_time(local_time(world.tax_year - 12, 5, 20, 9), count),
            "confidential_flag": np.where(owners.is_confidential, "T", "F"),
            "web_suppression": np.where(owners.is_confidential, "T", "F"),
        }
    ).with_columns(*(pl.when(pl.col(name) != "").then(name).alias(name) for name in ("first_name", "last_name")))


def address_rows(world: World) -> pl.DataFrame:
    """Each account's mailing address."""
    owners, count = world.owners, len(world.account_id)
    return pl.DataFrame(
        {
            "acct_id": world.account_id,
            "addr_type_cd": np.full(count, "M"),
            "primary_addr": np.full(count, "Y"),
            "addr_line1": owners.address_line,
            "addr_city": owners.city,
            "addr_state": np.full(count, "WA"),
            "country_cd": np.full(count, "US"),
            "zip": owners.zip,
            "ml_deliverable": np.full(count, "Y"),
            "last_change_dt": repeat_time(local_time(world.tax_year - 3, 7, 7, 14, 15), count),
        }
    )


def owner_rows(layer: Layer) -> pl.DataFrame:
    """Who owns what share of which property in the layer's year."""
    world, owners = layer.world, layer.world.owners
    count = len(owners.holding)
    return pl.DataFrame(
        {
            "owner_id": world.account_id[owners.account],
            "owner_tax_yr": np.full(count, layer.year),
            "prop_id": world.prop_id[owners.holding],
            "updt_dt": repeat_time(local_time(layer.year - 1, 11, 2, 16, 45), count),
            "pct_ownership": owners.percent,
            "sup_num": np.zeros(count, np.int64),
        }
    )


def transfer_rows(world: World) -> pl.DataFrame:
    """chg_of_owner: one row a deed."""
    sales, owners = world.sales, world.owners
    count = len(sales.day)
    buyer = owners.account[np.searchsorted(owners.holding, sales.first_parcel)]
    seller = (buyer + 17) % len(owners.file_as_name)
    sold = _dates(world, sales.day)
    is_sale = sales.validity != Validity.NO_SALE
    return pl.DataFrame(
        {
            "chg_of_owner_id": world.change_of_owner_id,
            "deed_type_cd": np.where(is_sale, np.where(sales.validity == Validity.VALID, "SWD", "BSD"), "QCD"),
            "deed_num": [f"{year}-{number:06d}" for number, year in enumerate(sold.dt.year(), start=1)],
            "deed_dt": sold,
            "coo_sl_dt": sold,
            "recorded_dt": _dates(world, sales.day + 3),
            "consideration": np.where(is_sale, sales.price_usd.astype(str), ""),
            "grantor_cv": np.strings.slice(owners.file_as_name[seller], 0, 30),
            "grantee_cv": np.strings.slice(owners.file_as_name[buyer], 0, 30),
            "excise_number": 300_000 + np.arange(count),
        }
    )


def transfer_parcel_rows(world: World) -> pl.DataFrame:
    """chg_of_owner_prop_assoc: the parcels of each deed; seq_num 0 is a parcel's latest transfer."""
    sales, values = world.sales, world.current
    sold_year = _dates(world, sales.day).dt.year()
    frame = pl.DataFrame(
        {
            "chg_of_owner_id": world.change_of_owner_id[sales.sale],
            "prop_id": world.prop_id[sales.parcel],
            "sup_tax_yr": sold_year.cast(pl.Int64).gather(sales.sale) + 1,
            "appraised_val": values.total_usd[sales.parcel],
            "assessed_val": values.total_usd[sales.parcel],
            "market": values.total_usd[sales.parcel],
            "bPrimary": sales.parcel == sales.first_parcel[sales.sale],
        }
    )
    latest_first = pl.col("chg_of_owner_id").rank("ordinal", descending=True).over("prop_id").cast(pl.Int64)
    return frame.with_columns((latest_first - 1).alias("seq_num"))


def sale_rows(world: World) -> pl.DataFrame:
    """The sale beside each deed that is one, with the characteristics as sold."""
    sales, buildings, lots = world.sales, world.buildings, world.lots
    first = sales.first_parcel
    use, size = buildings.use[first], lots.area_sqft[first]
    improved = use != Use.VACANT
    valid_code = np.where(np.arange(len(first)) % 97 == 0, "", "00")
    ratio_type = np.where(sales.validity == Validity.VALID, valid_code, np.array(_RATIO_TYPE_CODES)[sales.validity])
    frame = pl.DataFrame(
        {
            "chg_of_owner_id": world.change_of_owner_id,
            "sl_price": sales.price_usd,
            "sl_dt": _dates(world, sales.day),
            "adjusted_sl_price": sales.price_usd,
            "sl_ratio_type_cd": ratio_type,
            "sl_county_ratio_cd": np.array(_COUNTY_RATIO_CODES)[sales.validity],
            "sl_type_cd": np.where(improved, "I", "L"),
            "land_only_sale": ~improved,
            "sl_yr_blt": np.where(improved, buildings.year_built[first], 0),
            "sl_living_area": sales.sold_living_area_sqft.astype(np.int64),
            "sl_class_cd": np.array(QUALITY_CODES)[buildings.quality[first]],
            "sl_imprv_type_cd": np.array(BUILDING_TYPES)[use],
            "sl_land_sqft": size,
            "sl_land_acres": (size / SQFT_PER_ACRE).round(4),
            "frozen_characteristics": np.where(sales.is_frozen, "T", "F"),
            "confidential_sale": np.full(len(first), "F"),
        }
    )
    building = ("sl_yr_blt", "sl_living_area", "sl_class_cd", "sl_imprv_type_cd")
    return frame.with_columns(
        *(pl.when(pl.Series(improved)).then(name).alias(name) for name in building),
        pl.when(pl.col("sl_ratio_type_cd") != "").then("sl_ratio_type_cd").alias("sl_ratio_type_cd"),
    ).filter(pl.Series(sales.validity != Validity.NO_SALE))


def _dates(world: World, day: np.ndarray) -> pl.Series:
    base = np.datetime64(f"{world.tax_year}-01-01", "D")
    return pl.Series((base + day.astype("timedelta64[D]")).astype("datetime64[ms]"))
