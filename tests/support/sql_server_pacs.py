"""PACS on a server that speaks SQL Server's protocol: its tables as its catalogue declares them, and what they say."""

import secrets
from typing import Any

import polars as pl

from tests.support.pacs_catalogue import SCHEMA, Column, Table, read_catalogue
from tests.support.pacs_record import Record, spelled
from tests.support.pacs_source import _frames
from tests.support.shared_research import shared_research
from tests.support.sql_server_capabilities import SqlServer

_COMPUTED = {("property_val", "imprv_val"): "imprv_hstd_val + imprv_non_hstd_val"}
_POLYGONS = f"""
CREATE TABLE {SCHEMA}.parcelsandassess (
  objectid int NOT NULL PRIMARY KEY, prop_id int NULL, geo_id varchar(50) NULL, shape varbinary(max) NULL)
"""
_VALUES_OF_AN_INSERT = 1_000

_POINTED = "FROM dbo.prop_supp_assoc AS p JOIN dbo.pacs_system AS y ON p.owner_tax_yr = y.appr_yr"
_OF_POINTED = "{0}.prop_id = p.prop_id AND {0}.prop_val_yr = p.owner_tax_yr AND {0}.sup_num = p.sup_num"
_IS_REAL = "JOIN dbo.property AS b ON b.prop_id = {0}.prop_id AND b.prop_type_cd IN ('R', 'MH')"

#: what the published views have to say, asked of the source with no mapping and no engine in between
VIEWS = {
    "parcel_v1": f"""
SELECT CAST(p.prop_id AS varchar(11)) AS parcel_id, p.owner_tax_yr AS tax_year, p.sup_num AS supplement,
  b.geo_id AS parcel_number, RTRIM(b.prop_type_cd) AS property_type, v.hood_cd AS neighborhood,
  v.property_use_cd AS use_code, CAST(CASE WHEN v.prop_inactive_dt IS NULL THEN 1 ELSE 0 END AS bit) AS is_active,
  v.land_hstd_val + v.land_non_hstd_val AS land_value_usd,
  v.imprv_hstd_val + v.imprv_non_hstd_val AS improvement_value_usd,
  v.assessed_val AS total_value_usd, v.market AS market_value_usd, w.assessed_val AS prior_total_value_usd,
  (SELECT SUM(d.imprv_det_area) FROM dbo.imprv_detail AS d
    WHERE {_OF_POINTED.format("d")} AND d.sale_id = 0 AND d.imprv_det_type_cd = 'MA') AS living_area_sqft,
  (SELECT SUM(l.size_square_feet) FROM dbo.land_detail AS l
    WHERE {_OF_POINTED.format("l")} AND l.sale_id = 0) AS land_area_sqft,
  NULLIF(i.actual_year_built, 0) AS year_built, CAST(s.sl_dt AS date) AS last_sale_date,
  s.sl_price AS last_sale_price_usd, z.situs_zip
{_POINTED} {_IS_REAL.format("p")}
LEFT JOIN dbo.property_val AS v ON {_OF_POINTED.format("v")}
LEFT JOIN dbo.prop_supp_assoc AS o ON o.prop_id = p.prop_id AND o.owner_tax_yr = p.owner_tax_yr - 1
LEFT JOIN dbo.property_val AS w
  ON w.prop_id = p.prop_id AND w.prop_val_yr = p.owner_tax_yr - 1 AND w.sup_num = o.sup_num
LEFT JOIN dbo.situs AS z ON z.prop_id = p.prop_id AND z.primary_situs = 'Y'
OUTER APPLY (SELECT TOP 1 j.actual_year_built FROM dbo.imprv AS j
  WHERE {_OF_POINTED.format("j")} AND j.sale_id = 0 AND j.primary_imprv = 'Y' ORDER BY j.imprv_id) AS i
OUTER APPLY (SELECT TOP 1 x.sl_dt, x.sl_price FROM dbo.chg_of_owner_prop_assoc AS a
  JOIN dbo.sale AS x ON x.chg_of_owner_id = a.chg_of_owner_id WHERE a.prop_id = p.prop_id
  ORDER BY CASE WHEN x.sl_dt IS NULL THEN 1 ELSE 0 END, x.sl_dt DESC, x.chg_of_owner_id DESC) AS s
""",
    "owner_v1": f"""
SELECT CAST(o.prop_id AS varchar(11)) AS parcel_id, o.owner_tax_yr AS tax_year,
  CAST(o.owner_id AS varchar(11)) AS owner_id,
  CASE WHEN ISNULL(a.confidential_flag, 'F') <> 'T' THEN a.file_as_name END AS name,
  o.pct_ownership AS ownership_percent
{_POINTED} {_IS_REAL.format("p")}
JOIN dbo.owner AS o ON o.prop_id = p.prop_id AND o.owner_tax_yr = p.owner_tax_yr AND o.sup_num = p.sup_num
JOIN dbo.account AS a ON a.acct_id = o.owner_id
""",
    "sale_v1": f"""
SELECT CAST(s.chg_of_owner_id AS varchar(11)) AS sale_id, CAST(a.prop_id AS varchar(11)) AS parcel_id,
  CAST(s.sl_dt AS date) AS sale_date, s.sl_price AS sale_price_usd,
  NULLIF(RTRIM(s.sl_county_ratio_cd), '') AS validity_code, CAST(c.recorded_dt AS date) AS recorded_date
FROM dbo.sale AS s JOIN dbo.chg_of_owner_prop_assoc AS a ON a.chg_of_owner_id = s.chg_of_owner_id
JOIN dbo.chg_of_owner AS c ON c.chg_of_owner_id = s.chg_of_owner_id {_IS_REAL.format("a")}
""",
    "neighborhood_v1": """
SELECT h.hood_cd AS neighborhood, h.hood_yr AS tax_year, h.hood_name AS name
FROM dbo.neighborhood AS h JOIN dbo.pacs_system AS y ON h.hood_yr = y.appr_yr
""",
}

_YEAR = "(SELECT appr_yr FROM dbo.pacs_system)"
_SOME = "SELECT TOP {0} p.prop_id FROM dbo.prop_supp_assoc AS p WHERE p.owner_tax_yr = " + _YEAR + " ORDER BY p.prop_id"
#: edits, deletions, new rows and a write that changes nothing, as appraisers and a deed clerk make them
EDITS = (
    (f"UPDATE dbo.property_val SET assessed_val = assessed_val + 17, land_hstd_val = land_hstd_val + 17 "
     f"WHERE prop_val_yr = {_YEAR} AND prop_id IN ({_SOME.format(5)})"),
    f"UPDATE dbo.property_val SET market = market WHERE prop_val_yr = {_YEAR}",
    (f"UPDATE dbo.imprv_detail SET imprv_det_area = imprv_det_area + 1.5 WHERE prop_val_yr = {_YEAR} "
     f"AND prop_id IN ({_SOME.format(9)}) AND imprv_det_type_cd = 'MA'"),
    f"DELETE FROM dbo.land_detail WHERE prop_val_yr = {_YEAR} AND prop_id IN ({_SOME.format(2)})",
    f"DELETE FROM dbo.imprv WHERE prop_val_yr = {_YEAR} AND prop_id IN ({_SOME.format(30)}) AND prop_id % 3 = 0",
    f"DELETE FROM dbo.owner WHERE owner_tax_yr = {_YEAR} AND prop_id IN ({_SOME.format(1)})",
    ("UPDATE dbo.account SET file_as_name = 'PEÑA & SØN''S \"TRUST\"' WHERE acct_id IN "
     "(SELECT TOP 3 acct_id FROM dbo.account ORDER BY acct_id DESC)"),
    "UPDATE dbo.neighborhood SET hood_name = 'RENAMED' WHERE hood_cd IN (SELECT MIN(hood_cd) FROM dbo.neighborhood)",
    ("UPDATE dbo.sale SET sl_price = sl_price + 1 WHERE chg_of_owner_id IN "
     "(SELECT TOP 4 chg_of_owner_id FROM dbo.sale ORDER BY chg_of_owner_id)"),
    "DELETE FROM dbo.sale WHERE chg_of_owner_id IN (SELECT MAX(chg_of_owner_id) FROM dbo.sale)",
    "UPDATE dbo.situs SET situs_zip = '99999' WHERE prop_id IN (SELECT TOP 6 prop_id FROM dbo.situs ORDER BY prop_id)",
    "INSERT INTO dbo.property (prop_id, prop_type_cd, geo_id) SELECT MAX(prop_id) + 1, 'R', 'NEW' FROM dbo.property",
    (f"INSERT INTO dbo.prop_supp_assoc (owner_tax_yr, sup_num, prop_id) "
     f"SELECT {_YEAR}, 0, MAX(prop_id) FROM dbo.property"),
    (f"INSERT INTO dbo.property_val (prop_val_yr, sup_num, prop_id, assessed_val, market, land_hstd_val, "
     f"land_non_hstd_val, imprv_hstd_val, imprv_non_hstd_val) "
     f"SELECT {_YEAR}, 0, MAX(prop_id), 1234.00, 1234.00, 1000, 200, 30, 4 FROM dbo.property"),
)  # fmt: skip


def build_pacs(server: SqlServer, names: list[str], *, parcels: int, seed: int) -> None:
    """Creates the tables of that name and fills them with a synthetic county."""
    catalogue, frames = read_catalogue(shared_research("pacs_tables.json")), _frames(parcels, seed)
    for name in names:
        server.execute(_create(catalogue[name]) if name in catalogue else _POLYGONS)
        _insert(server, name, catalogue.get(name), frames[name])


def expected_record(server: SqlServer) -> Record:
    """The rows of the published views by name, in an order, with the columns that these queries have."""
    found = {}
    with server.connect() as connection:
        for view, query in VIEWS.items():
            cursor = connection.execute(query)
            names = [column[0] for column in cursor.description]
            found[view] = spelled([dict(zip(names, row, strict=True)) for row in cursor.fetchall()])
    return found


def create_reader(server: SqlServer, names: list[str]) -> SqlServer:
    """The database by a login that may SELECT from these tables and do nothing else."""
    login, password = f"reader_{secrets.token_hex(4)}", f"Aa1-{secrets.token_hex(12)}"
    server.execute(f"CREATE LOGIN {login} WITH PASSWORD = '{password}', DEFAULT_DATABASE = {server.url.database}")
    server.execute(f"CREATE USER {login} FOR LOGIN {login}")
    for name in names:
        server.execute(f"GRANT SELECT ON {SCHEMA}.{name} TO {login}")
    return SqlServer(server.url.set(username=login, password=password))


def drop_reader(server: SqlServer, reader: SqlServer) -> None:
    """Takes the login away."""
    server.tolerates(f"DROP USER {reader.url.username}")
    server.tolerates(f"DROP LOGIN {reader.url.username}")


def _create(table: Table) -> str:
    lines = [line for column in table.columns if (line := _definition(table, column))]
    lines += [f"PRIMARY KEY ({', '.join(table.key)})"]
    return f"CREATE TABLE {SCHEMA}.{table.name} ({', '.join(lines)})"


def _definition(table: Table, column: Column) -> str | None:
    if column.type == "computed":
        formula = _COMPUTED.get((table.name, column.name))
        return f"[{column.name}] AS ({formula})" if formula else None
    kind = f"[{column.name}] {column.type}{column.size}"
    if column.nullable:
        return f"{kind} NULL"
    if column.name in table.key or column.type == "rowversion":
        return f"{kind} NOT NULL"
    return f"{kind} NOT NULL DEFAULT {_neutral(column)}"


def _neutral(column: Column) -> str:
    if "char" in column.type:
        return "''"
    return "GETDATE()" if "date" in column.type else "0"


def _insert(server: SqlServer, name: str, table: Table | None, frame: pl.DataFrame) -> None:
    kinds = {column.name: f"{column.type}{column.size}" for column in table.columns} if table else {}
    marks = ["CONVERT(varbinary(max), ?, 2)" if c == "shape" else f"CAST(? AS {kinds.get(c, 'varchar(50)')})"
             for c in frame.columns]  # fmt: skip
    if "shape" in frame.columns:
        frame = frame.with_columns(pl.col("shape").str.strip_prefix("\\x"))
    columns = ", ".join(f"[{column}]" for column in frame.columns)
    rows_at_once = max(_VALUES_OF_AN_INSERT // len(marks), 1)
    with server.connect(autocommit=False) as connection:
        for part in frame.iter_slices(rows_at_once):
            values = ", ".join([f"({', '.join(marks)})"] * part.height)
            parameters: list[Any] = [value for row in part.iter_rows() for value in row]
            connection.execute(f"INSERT INTO {SCHEMA}.{name} ({columns}) VALUES {values}", *parameters)
        connection.commit()
