"""A PACS-shaped source in PostgreSQL: every table of the catalogue, filled with properties that a seed decides."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import polars as pl
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from services.ingest.synthetic.casting import cast_parts
from services.ingest.synthetic.county import _base_frames
from services.ingest.synthetic.layers import add_layers
from services.ingest.synthetic.load import create_read_only_login, to_csv
from services.ingest.synthetic.world import build_world
from tests.support import servers
from tests.support.pacs_catalogue import SCHEMA, Table, create_table, names, read_catalogue
from tests.support.pacs_triggers import (
    CODE_TABLES,
    DERIVING,
    EXTRA_TABLES,
    FUNCTIONS,
    UNAUDITED,
    create_stamp,
    create_triggers,
)
from tests.support.shared_research import shared_research

Logging = Literal["on", "off", "market"]

#: what the synthetic county has no rows of, made of what it has
_MORE_ROWS = f"""
INSERT INTO {SCHEMA}.property_type VALUES ('R', 'REAL'), ('MH', 'MOBILE HOME'), ('P', 'PERSONAL');
INSERT INTO {SCHEMA}.tax_area (tax_area_id, tax_area_number, tax_area_description) VALUES (1, 'A1', 'RIVERBEND');
INSERT INTO {SCHEMA}.property_tax_area (year, sup_num, prop_id, tax_area_id)
  SELECT prop_val_yr, sup_num, prop_id, 1 FROM {SCHEMA}.property_val;
INSERT INTO {SCHEMA}.wash_property_val (prop_val_yr, sup_num, prop_id, appraised_classified, appraised_non_classified)
  SELECT prop_val_yr, sup_num, prop_id, 0, appraised_val FROM {SCHEMA}.property_val;
INSERT INTO {SCHEMA}.wash_prop_owner_val (year, sup_num, prop_id, owner_id, appraised, market, taxable_non_classified)
  SELECT v.prop_val_yr, v.sup_num, v.prop_id, o.owner_id, v.appraised_val, v.market, v.appraised_val
    FROM {SCHEMA}.property_val v JOIN {SCHEMA}.owner o
      ON (o.prop_id, o.owner_tax_yr, o.sup_num) = (v.prop_id, v.prop_val_yr, v.sup_num);
INSERT INTO {SCHEMA}.exmpt_type (exmpt_type_cd) VALUES ('SNR/DSBL');
INSERT INTO {SCHEMA}.property_exemption (exmpt_tax_yr, owner_tax_yr, sup_num, prop_id, owner_id, exmpt_type_cd)
  SELECT owner_tax_yr, owner_tax_yr, sup_num, prop_id, owner_id, 'SNR/DSBL' FROM {SCHEMA}.owner
   WHERE prop_id % 23 = 0 AND owner_tax_yr > 0;
INSERT INTO {SCHEMA}.buyer_assoc (chg_of_owner_id, buyer_id)
  SELECT DISTINCT a.chg_of_owner_id, min(o.owner_id) FROM {SCHEMA}.chg_of_owner_prop_assoc a
    JOIN {SCHEMA}.owner o USING (prop_id) WHERE a.seq_num = 0 GROUP BY a.chg_of_owner_id;
INSERT INTO {SCHEMA}.pacs_year (tax_yr, certification_dt)
  SELECT tax_yr, make_date(tax_yr::integer, 1, 15) FROM {SCHEMA}.pacs_system;
"""


@dataclass(frozen=True)
class PacsSource:
    """A county's PACS as its owner sees it."""

    url: str
    catalogue: dict[str, Table]

    @contextmanager
    def session(self, logging: Logging = "on") -> Iterator[psycopg.Connection]:
        """A transaction of a PACS client; `logging` is how its changes are logged."""
        with psycopg.connect(self.url) as connection:
            connection.execute("SELECT set_config('dbo.change_logging', %s, false)", (logging,))
            yield connection

    def execute(self, statement: str, arguments: tuple[Any, ...] = (), *, logging: Logging = "on") -> int:
        """Runs a statement as a client would; answers how many rows it met."""
        with self.session(logging) as connection:
            return connection.execute(statement.encode(), arguments or None).rowcount

    def rows(self, query: str, arguments: tuple[Any, ...] = ()) -> list[dict[str, Any]]:
        """The rows of a query, by column."""
        with psycopg.connect(self.url, row_factory=dict_row) as connection:
            return connection.execute(query.encode(), arguments or None).fetchall()

    def value(self, query: str, arguments: tuple[Any, ...] = ()) -> Any:
        """The one value of a query."""
        (row,) = self.rows(query, arguments)
        (value,) = row.values()
        return value

    @property
    def appraisal_year(self) -> int:
        return int(self.value(f"SELECT appr_yr FROM {SCHEMA}.pacs_system"))

    @property
    def layered(self) -> list[Table]:
        """Tables with a row a year and supplement, the pointer to the current one not among them."""
        return [t for t in self.catalogue.values() if t.year_columns and t.name != "prop_supp_assoc"]


@contextmanager
def pacs_source(server: servers.DatabaseServer, *, parcels: int = 300, seed: int = 1) -> Iterator[PacsSource]:
    """A source in a database of its own, dropped afterwards; skips where the catalogue is missing."""
    catalogue = read_catalogue(shared_research("pacs_tables.json"))
    with servers.database(server) as (_, url):
        source = PacsSource(url, catalogue)
        build_source(source, parcels=parcels, seed=seed)
        yield source


def build_source(source: PacsSource, *, parcels: int, seed: int) -> None:
    """Creates every table and fills it; triggers come last, so that the first rows are in no change log."""
    with psycopg.connect(source.url) as connection:
        connection.execute(f"CREATE SCHEMA {SCHEMA}".encode())
        connection.execute(EXTRA_TABLES.encode())
        for table in source.catalogue.values():
            connection.execute(create_table(table).encode())
        connection.execute(FUNCTIONS.encode())
        connection.execute("".join(map(create_stamp, source.catalogue.values())).encode())
        for name, frame in _frames(parcels, seed).items():
            _copy(connection, name, frame)
        connection.execute(_MORE_ROWS.encode())
        _name_logged_columns(connection, source)
        connection.execute((DERIVING + "".join(map(create_triggers, source.catalogue.values()))).encode())
        for name in CODE_TABLES:
            stamp = sql.SQL('INSERT INTO {}.table_cache_status ("szTableName", ts) VALUES ({}, int8send(0))')
            connection.execute(stamp.format(sql.Identifier(SCHEMA), name))
        connection.execute("ANALYZE")


@lru_cache(maxsize=4)
def _frames(parcels: int, seed: int) -> dict[str, pl.DataFrame]:
    """The synthetic county's rows without its planted dirt: what the record must say is then what the source says."""
    world = build_world(parcels=parcels, seed=seed, tax_year=2026)
    cast = cast_parts(np.random.default_rng(seed), world)
    return add_layers(
        world,
        _base_frames(world),
        accepted=world.prop_id[cast.accepted],
        pending=world.prop_id[cast.pending],
        future=world.prop_id[cast.future],
    )


def _copy(connection: psycopg.Connection, name: str, frame: pl.DataFrame) -> None:
    if frame.is_empty():
        return
    query = f"COPY {SCHEMA}.{name} ({names(tuple(frame.columns))}) FROM STDIN WITH (FORMAT csv, NULL '\\N')"
    with connection.cursor() as cursor, cursor.copy(query.encode()) as copy:
        copy.write(to_csv(frame))


def _name_logged_columns(connection: psycopg.Connection, source: PacsSource) -> None:
    """Ids of tables and columns, and which columns are audited."""
    columns = sorted({column for table in source.catalogue.values() for column in table.written})
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {SCHEMA}.pacs_tables VALUES (%s, %s, 0, 0)".encode(),
            [(600 + number, name) for number, name in enumerate(sorted(source.catalogue))],
        )
        cursor.executemany(
            f"INSERT INTO {SCHEMA}.pacs_columns VALUES (%s, %s)".encode(),
            [(700 + number, name) for number, name in enumerate(columns)],
        )
        cursor.executemany(
            f"INSERT INTO {SCHEMA}.chg_log_columns VALUES (%s, %s, %s, '', NULL)".encode(),
            [
                (table.name, column, 0 if (table.name, column) in UNAUDITED else 1)
                for table in source.catalogue.values()
                for column in table.written
                if table.logs_changes
            ],
        )


@contextmanager
def reader_login(source_url: str) -> Iterator[str]:
    """The URL of a login that may SELECT and nothing else; gone afterwards."""
    login = f"reader_{secrets.token_hex(4)}"
    yield create_read_only_login(source_url, user=login, password=secrets.token_urlsafe(12))
    with psycopg.connect(source_url) as connection:
        connection.execute(f"DROP OWNED BY {login}; DROP ROLE {login}".encode())
