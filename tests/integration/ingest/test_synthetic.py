import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from chassis.errors import PermanentError
from clients.sdk.cli import app
from services.ingest.synthetic.county import (
    apply_changes,
    create_read_only_login,
    imagine,
    read_truth,
    synthesize,
)
from services.ingest.synthetic.load import to_csv
from services.ingest.synthetic.shape import quoted, read_shape
from services.ingest.synthetic.truth import Truth
from tests.support.servers import DatabaseServer, database

PARCELS = 400
_PROPERTY_TABLES = ("property", "property_val", "prop_supp_assoc", "property_profile", "owner", "situs",
                    "land_detail", "imprv", "imprv_detail", "imprv_attr", "parcelsandassess")  # fmt: skip

type_rows = dict[str, dict[tuple[Any, ...], tuple[Any, ...]]]


@pytest.fixture(scope="module")
def source(postgres: DatabaseServer) -> Iterator[tuple[str, Truth]]:
    with database(postgres) as (_, url):
        yield url, synthesize(url, county="synthetic_wa", parcels=PARCELS, seed=3)


@contextmanager
def made_source(postgres: DatabaseServer) -> Iterator[tuple[str, Truth]]:
    """A source of its own, for a test that writes to it."""
    with database(postgres) as (_, url):
        yield url, synthesize(url, county="synthetic_wa", parcels=PARCELS, seed=3)


def _one(url: str, query: str) -> Any:
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0] if len(row) == 1 else row


def _read_all(url: str) -> type_rows:
    """Every row by its key, without the stamp."""
    rows: type_rows = {}
    with psycopg.connect(url) as connection:
        for table in read_shape().values():
            names = [column.name for column in table.columns if column.type != "rowversion"]
            key = [names.index(name) for name in table.key]
            query = f"SELECT {', '.join(map(quoted, names))} FROM dbo.{table.name}"
            found = connection.execute(query.encode()).fetchall()
            rows[table.name] = {tuple(row[place] for place in key): row for row in found}
    return rows


def test_the_source_holds_the_rows_that_the_truth_counts(source: tuple[str, Truth]) -> None:
    url, truth = source
    rows = _read_all(url)
    assert {name: len(found) for name, found in rows.items()} == truth.expected.rows


def test_the_source_has_the_shape_of_the_real_tables(source: tuple[str, Truth]) -> None:
    with psycopg.connect(source[0]) as connection:
        found = connection.execute(
            "SELECT table_name, column_name, is_nullable FROM information_schema.columns"
            " WHERE table_schema = 'dbo' ORDER BY table_name, ordinal_position"
        ).fetchall()
    expected = [
        (table.name, column.name, "YES" if column.nullable else "NO")
        for table in sorted(read_shape().values(), key=lambda table: table.name)
        for column in table.columns
    ]
    assert found == expected


def test_codes_are_blank_padded_and_derived_columns_derived(source: tuple[str, Truth]) -> None:
    assert _one(source[0], "SELECT prop_type_cd FROM dbo.property ORDER BY prop_id LIMIT 1") == "R    "
    situs = _one(source[0], "SELECT situs_display, situs_num || ' %' FROM dbo.situs LIMIT 1")
    assert situs[0].startswith(situs[1][:-1])
    differing = "SELECT count(*) FROM dbo.property_val WHERE imprv_val <> imprv_hstd_val + imprv_non_hstd_val"
    assert _one(source[0], differing) == 0


def test_the_current_layer_is_what_the_pointer_says(source: tuple[str, Truth]) -> None:
    url, truth = source
    count, market = _one(
        url,
        "SELECT count(*), sum(v.market) FROM dbo.property p CROSS JOIN dbo.pacs_system s"
        " JOIN dbo.prop_supp_assoc a ON a.prop_id = p.prop_id AND a.owner_tax_yr = s.appr_yr"
        " JOIN dbo.property_val v ON (v.prop_id, v.prop_val_yr, v.sup_num) = (a.prop_id, a.owner_tax_yr, a.sup_num)"
        " WHERE p.prop_type_cd IN ('R', 'MH') AND v.prop_inactive_dt IS NULL",
    )
    assert (count, market) == (truth.expected.active_real_parcels, truth.expected.market_value_usd)


def test_a_second_synthesis_replaces_the_first_with_equal_rows(postgres: DatabaseServer) -> None:
    with made_source(postgres) as (url, truth):
        first = _read_all(url)
        assert synthesize(url, county="synthetic_wa", parcels=PARCELS, seed=3) == truth
        assert _read_all(url) == first
    frames, _ = imagine(county="synthetic_wa", parcels=PARCELS, seed=3)
    assert sum(to_csv(frame).count(b"\n") for frame in frames.values()) == sum(map(len, first.values()))


def test_a_schema_that_no_synthesis_made_is_left_alone(postgres: DatabaseServer) -> None:
    with database(postgres) as (_, url):
        with psycopg.connect(url) as connection:
            connection.execute("CREATE SCHEMA dbo")
            connection.execute("CREATE TABLE dbo.property (prop_id integer)")
        with pytest.raises(PermanentError) as refusal:
            synthesize(url, county="synthetic_wa", parcels=PARCELS, seed=3)
        assert refusal.value.code == "source_not_synthetic"
        assert _one(url, "SELECT count(*) FROM dbo.property") == 0


def test_changes_touch_exactly_the_objects_that_they_name(postgres: DatabaseServer) -> None:
    with made_source(postgres) as (url, truth):
        before = _read_all(url)
        played = apply_changes(url, truth)
        after = _read_all(url)
    assert played == truth.incremental_changes
    expected: dict[str, set[int]] = {"parcel": set(), "owner": set(), "sale": set()}
    for change in played:
        for fact in change.facts:
            expected[fact.subject.partition(".")[0]].add(int(fact.id))
    assert _changed(before, after, _PROPERTY_TABLES, "prop_id") - _silent(truth) == (
        expected["parcel"] | expected["owner"] - _by_address(truth)
    )
    assert _changed(before, after, ("sale",), "chg_of_owner_id") == expected["sale"]


def _changed(before: type_rows, after: type_rows, tables: tuple[str, ...], column: str) -> set[int]:
    """The ids whose rows came, went or differ."""
    ids = set()
    for table in tables:
        place = [c.name for c in read_shape()[table].columns if c.type != "rowversion"].index(column)
        for key in before[table].keys() | after[table].keys():
            old, new = before[table].get(key), after[table].get(key)
            if old != new:
                ids.add(int((new or old)[place]))  # type: ignore[index]
    return ids


def _silent(truth: Truth) -> set[int]:
    """The properties that were recalculated: only the date of it differs."""
    changes = [change for change in truth.incremental_changes if not change.facts]
    assert changes
    return {int(str(change.rows[0].key["prop_id"])) for change in changes}


def _by_address(truth: Truth) -> set[int]:
    changes = [change for change in truth.incremental_changes if change.name == "mailing_address_corrected"]
    return {int(change.facts[0].id) for change in changes}


def test_changes_cannot_be_played_twice(postgres: DatabaseServer) -> None:
    with made_source(postgres) as (url, truth):
        apply_changes(url, truth)
        with pytest.raises((LookupError, psycopg.errors.UniqueViolation)):
            apply_changes(url, truth)


def test_every_write_moves_the_stamp_and_nothing_below_the_watermark_is_missed(postgres: DatabaseServer) -> None:
    watermark = "SELECT dbo.min_active_rowversion()"
    newest = 'SELECT "tsRowVersion" FROM dbo.property_val ORDER BY 1 DESC LIMIT 1'
    write = "UPDATE dbo.property_val SET market = market + 1 WHERE prop_val_yr = 2026 AND prop_id = %s"
    with made_source(postgres) as (url, _):
        ids = _one(url, "SELECT min(prop_id), max(prop_id) FROM dbo.property")
        start = _one(url, watermark)
        assert _one(url, newest) < start
        with psycopg.connect(url) as slow, psycopg.connect(url) as quick:
            slow.execute(write, (ids[0],))
            quick.execute(write, (ids[1],))
            quick.commit()
            assert _one(url, newest) >= _one(url, watermark) >= start  # the slow writer holds it back
            slow.commit()
        end = _one(url, watermark)
        assert end > _one(url, newest) >= start


def test_the_reader_may_read_and_nothing_else(postgres: DatabaseServer) -> None:
    user = f"reader_{secrets.token_hex(4)}"
    with made_source(postgres) as (url, truth):
        reader_url = create_read_only_login(url, user=user, password="p@ss/w'ord %")
        assert _one(reader_url, "SELECT count(*) FROM dbo.sale") == truth.expected.sales
        assert len(_one(reader_url, "SELECT dbo.min_active_rowversion()")) == 8
        for statement in ("DELETE FROM dbo.sale", "CREATE TABLE dbo.x ()", "UPDATE dbo.sale SET sl_price = 0"):
            with psycopg.connect(reader_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())
        again = create_read_only_login(url, user=user, password="other")
        assert _one(again, "SELECT 1") == 1
        with psycopg.connect(url) as connection:
            connection.execute(f"DROP OWNED BY {user}".encode())
            connection.execute(f"DROP ROLE {user}".encode())


def test_the_command_makes_the_database_and_writes_the_truth(postgres: DatabaseServer, tmp_path: Path) -> None:
    with database(postgres) as (name, url):
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name}".encode())
        path = tmp_path / "truth.json"
        arguments = ["county", "synthesize", "synthetic_wa", "--parcels", "300", "--seed", "9", "--truth", str(path)]
        result = CliRunner().invoke(app, arguments, env={"TERRAFUSION_SOURCE_SYNTHETIC_WA_PACS_URL": url})
        assert result.exit_code == 0, result.output
        assert "300" in result.output
        truth = read_truth(path)
        assert (truth.county, truth.parcels, truth.seed) == ("synthetic_wa", 300, 9)
        assert _one(url, "SELECT count(*) FROM dbo.sale") == truth.sales


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["synthetic_wa"], "TERRAFUSION_SOURCE_SYNTHETIC_WA_PACS_URL"),
        (["Benton County", "--source-url", "postgresql://h/d"], "no county name"),
        (["synthetic_wa", "--source-url", "mssql://h/d"], "postgresql://"),
        (["synthetic_wa", "--source-url", "postgresql://h/d", "--parcels", "20"], "at least 300"),
        (["synthetic_wa", "--source-url", "postgresql://127.0.0.1:1/d", "--parcels", "300"], "source database"),
    ],
)
def test_the_command_refuses_plainly(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["county", "synthesize", *arguments], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output
