"""What the record has to say of a PACS source, by queries on the source with no mapping and no engine in them."""

from typing import Any

from tests.support.pacs_source import PacsSource
from tests.support.sync_jobs import SyncBench

#: the current layer of every real property in the terms of `parcel_v1`
PARCELS = """
WITH y AS (SELECT appr_yr::int AS year FROM dbo.pacs_system),
pointed AS (SELECT a.prop_id, a.sup_num, y.year FROM dbo.prop_supp_assoc a JOIN y ON a.owner_tax_yr = y.year),
detail AS (
  SELECT d.prop_id, sum(imprv_det_area) AS area,
         (array_agg(rtrim(imprv_det_class_cd) ORDER BY imprv_det_id, imprv_id))[1] AS class,
         (array_agg(rtrim(condition_cd) ORDER BY imprv_det_id, imprv_id))[1] AS condition
    FROM dbo.imprv_detail d JOIN pointed p ON (d.prop_id, d.prop_val_yr, d.sup_num) = (p.prop_id, p.year, p.sup_num)
   WHERE sale_id = 0 AND rtrim(imprv_det_type_cd) = 'MA' GROUP BY d.prop_id),
land AS (
  SELECT l.prop_id, sum(size_square_feet) AS area
    FROM dbo.land_detail l JOIN pointed p ON (l.prop_id, l.prop_val_yr, l.sup_num) = (p.prop_id, p.year, p.sup_num)
   WHERE sale_id = 0 GROUP BY l.prop_id),
house AS (
  SELECT DISTINCT ON (i.prop_id) i.prop_id, nullif(actual_year_built, 0) AS built, stories
    FROM dbo.imprv i JOIN pointed p ON (i.prop_id, i.prop_val_yr, i.sup_num) = (p.prop_id, p.year, p.sup_num)
   WHERE sale_id = 0 AND primary_imprv = 'Y' ORDER BY i.prop_id, imprv_id),
rooms AS (
  SELECT t.prop_id, sum(CASE WHEN i_attr_val_id = 15 THEN i_attr_val_cd::numeric END) AS bedrooms
    FROM dbo.imprv_attr t JOIN pointed p ON (t.prop_id, t.prop_val_yr, t.sup_num) = (p.prop_id, p.year, p.sup_num)
   WHERE sale_id = 0 GROUP BY t.prop_id),
sold AS (
  SELECT DISTINCT ON (a.prop_id) a.prop_id, s.sl_dt::date AS sale_date, s.sl_price
    FROM dbo.chg_of_owner_prop_assoc a JOIN dbo.sale s USING (chg_of_owner_id)
   ORDER BY a.prop_id, s.sl_dt DESC NULLS LAST, chg_of_owner_id DESC)
SELECT p.prop_id::text AS parcel_id, p.year AS tax_year, p.sup_num AS supplement, b.geo_id AS parcel_number,
  rtrim(b.prop_type_cd) AS property_type, b.zoning, v.hood_cd AS neighborhood, v.property_use_cd AS use_code,
  v.prop_inactive_dt IS NULL AS is_active, v.land_hstd_val + v.land_non_hstd_val AS land_value_usd,
  v.imprv_hstd_val + v.imprv_non_hstd_val AS improvement_value_usd, v.assessed_val AS total_value_usd,
  v.market AS market_value_usd, before.assessed_val AS prior_total_value_usd, detail.area AS living_area_sqft,
  detail.class AS building_class, detail.condition, land.area AS land_area_sqft, house.built AS year_built,
  rooms.bedrooms, sold.sale_date AS last_sale_date, sold.sl_price AS last_sale_price_usd, place.situs_zip
FROM pointed p JOIN dbo.property b USING (prop_id)
LEFT JOIN dbo.property_val v ON (v.prop_id, v.prop_val_yr, v.sup_num) = (p.prop_id, p.year, p.sup_num)
LEFT JOIN dbo.prop_supp_assoc old ON old.prop_id = p.prop_id AND old.owner_tax_yr = p.year - 1
LEFT JOIN dbo.property_val before
  ON (before.prop_id, before.prop_val_yr, before.sup_num) = (p.prop_id, p.year - 1, old.sup_num)
LEFT JOIN detail ON detail.prop_id = p.prop_id LEFT JOIN land ON land.prop_id = p.prop_id
LEFT JOIN house ON house.prop_id = p.prop_id LEFT JOIN rooms ON rooms.prop_id = p.prop_id
LEFT JOIN sold ON sold.prop_id = p.prop_id
LEFT JOIN dbo.situs place ON place.prop_id = p.prop_id AND place.primary_situs = 'Y'
WHERE rtrim(b.prop_type_cd) IN ('R', 'MH')
"""

OWNERS = """
SELECT o.prop_id::text AS parcel_id, o.owner_tax_yr::int AS tax_year, o.owner_id::text AS owner_id,
  CASE WHEN coalesce(a.confidential_flag, 'F') <> 'T' THEN a.file_as_name END AS name,
  o.pct_ownership AS ownership_percent
FROM dbo.owner o JOIN dbo.pacs_system y ON o.owner_tax_yr = y.appr_yr
JOIN dbo.prop_supp_assoc p ON (p.prop_id, p.owner_tax_yr, p.sup_num) = (o.prop_id, o.owner_tax_yr, o.sup_num)
JOIN dbo.account a ON a.acct_id = o.owner_id
JOIN dbo.property b ON b.prop_id = o.prop_id WHERE rtrim(b.prop_type_cd) IN ('R', 'MH')
"""

SALES = """
SELECT s.chg_of_owner_id::text AS sale_id, a.prop_id::text AS parcel_id, s.sl_dt::date AS sale_date,
  s.sl_price AS sale_price_usd, nullif(rtrim(s.sl_county_ratio_cd), '') AS validity_code,
  c.recorded_dt::date AS recorded_date,
  count(*) OVER (PARTITION BY s.chg_of_owner_id)::int AS parcel_count
FROM dbo.sale s JOIN dbo.chg_of_owner_prop_assoc a USING (chg_of_owner_id)
JOIN dbo.chg_of_owner c USING (chg_of_owner_id)
JOIN dbo.property b ON b.prop_id = a.prop_id WHERE rtrim(b.prop_type_cd) IN ('R', 'MH')
"""

NEIGHBORHOODS = """
SELECT hood_cd AS neighborhood, hood_yr::int AS tax_year, hood_name AS name
FROM dbo.neighborhood WHERE hood_yr = (SELECT appr_yr FROM dbo.pacs_system)
"""

Record = dict[str, list[dict[str, Any]]]

VIEWS = {"parcel_v1": PARCELS, "owner_v1": OWNERS, "sale_v1": SALES, "neighborhood_v1": NEIGHBORHOODS}


def expected_record(source: PacsSource) -> Record:
    """The rows of the published views by name, in an order, with the columns that these queries have."""
    return {view: spelled(source.rows(query)) for view, query in VIEWS.items()}


async def actual_record(bench: SyncBench, expected: Record) -> Record:
    """What the platform says of the expected columns, in the working year: it keeps what it knew of earlier ones."""
    found = {}
    for view, rows in expected.items():
        columns = list(rows[0])
        year = f" WHERE tax_year = {int(rows[0]['tax_year'])}" if "tax_year" in columns else ""
        found[view] = spelled(await bench.fetch(f"SELECT {', '.join(columns)} FROM ingest.{view}{year}"))
    return found


def differences(expected: Record, actual: Record) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """By view the rows that are missing and those that are too many; empty where the record is right."""
    found = {}
    for view, rows in expected.items():
        missing = [row for row in rows if row not in actual[view]]
        surplus = [row for row in actual[view] if row not in rows]
        if missing or surplus or len(rows) != len(actual[view]):
            found[view] = {"missing": missing[:5], "surplus": surplus[:5]}
    return found


def spelled(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Numbers as floats to a hundredth: the record stores measures as doubles and money with cents."""
    spelled = [{name: _cell(value) for name, value in row.items()} for row in rows]
    return sorted(spelled, key=lambda row: [str(value) for value in row.values()])


def _cell(value: Any) -> Any:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return round(float(value), 2)


async def assert_record_equals(bench: SyncBench, source: PacsSource) -> None:
    """Fails with the rows that differ; parcels that are gone from the source stay in the record as inactive ones."""
    expected = expected_record(source)
    actual = await actual_record(bench, expected)
    there = {row["parcel_id"] for row in expected["parcel_v1"]}
    actual["parcel_v1"] = [row for row in actual["parcel_v1"] if row["is_active"] or row["parcel_id"] in there]
    assert differences(expected, actual) == {}
