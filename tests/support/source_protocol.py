"""What every database has to do as a source, whichever server and driver it is behind."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from chassis.errors import TerraFusionError
from contracts.mapping import Pair, SourceTable
from services.ingest.domain.preflight import differences, warnings
from services.ingest.domain.rows import normalise
from services.ingest.sources.opening import open_source
from services.ingest.sources.source import HASH, Asked, Bounds, Digest, Key, Marker, Source
from services.ingest.sources.sql_source import SqlSource
from tests.support import odd_tables as odd


def odd_pair(tables: Iterable[odd.OddTable] = odd.ODD_TABLES, **following: Any) -> Pair:
    """The odd tables as a pair."""
    mapping: dict[str, Any] = {
        "pair": "odd",
        "connector": "sql",
        "working_year": {"year": 2026},
        "following": following,
        "tables": [table.mapped for table in tables],
        "entities": {"parcel": {"root": "layers", "fields": {"market_value_usd": "layers.market"}}},
    }
    return Pair.model_validate(mapping)


@dataclass(frozen=True)
class OddSource:
    """A database with the odd tables: its URL as a source, and its owner's way to change it."""

    url: str
    execute: Callable[[str], None]
    quoted: Callable[[str], str]
    is_sql_server: bool = False
    lacks: Mapping[str, str] = field(default_factory=dict)
    """Tables that this server cannot have, and why."""

    @property
    def pair(self) -> Pair:
        return odd_pair(table for table in odd.ODD_TABLES if table.name not in self.lacks)

    def open(self, **following: Any) -> AbstractContextManager[Source]:
        return open_source(odd_pair(**following), self.url)

    def needs(self, table: odd.OddTable) -> None:
        if reason := self.lacks.get(table.name):
            pytest.skip(reason)


def whole(source: Source, table: SourceTable, **how: Any) -> pl.DataFrame:
    blocks = list(source.read(table, **how))
    return pl.concat(blocks) if blocks else pl.DataFrame(schema=dict.fromkeys([*table.columns, HASH], pl.String))


def ranges(source: Source, table: SourceTable, rows: int, years: tuple[int, ...] = ()) -> list[Bounds]:
    found: list[Bounds] = []
    after: Key | None = None
    while True:
        upper = source.boundary(table, after, rows, years=years)
        found.append(Bounds(after, upper))
        if upper is None:
            return found
        assert upper != after, "a boundary that stays where it was is walked for ever"
        after = upper


class SourceProtocol:
    """Inherited by the tests of each server; `odd_source` is the fixture of each."""

    @pytest.mark.parametrize("table", odd.ODD_TABLES, ids=lambda table: table.name)
    def test_ranges_hold_every_row_once_and_their_digests_are_of_the_rows_read(
        self, odd_source: OddSource, table: odd.OddTable
    ) -> None:
        odd_source.needs(table)
        mapped = table.mapped
        with odd_source.open() as source:
            rows = whole(source, mapped)
            held = [r for r in table.rows if None not in [r[list(table.columns).index(k)] for k in table.key]]
            assert rows.height == len(held)
            for size in (1, 4, 10, 10_000):
                bounds = ranges(source, mapped, size)
                parts = [whole(source, mapped, bounds=one) for one in bounds]
                assert sorted(pl.concat(parts)[HASH]) == sorted(rows[HASH])
                assert source.digests([Asked(mapped, one) for one in bounds]) == [Digest.of(p[HASH]) for p in parts]
                keys = [set(part.select(table.key).rows()) for part in parts]
                assert sum(map(len, keys)) == len(set().union(*keys))

    @pytest.mark.parametrize("table", odd.ODD_TABLES, ids=lambda table: table.name)
    def test_the_digest_of_keys_is_of_keys_alone(self, odd_source: OddSource, table: odd.OddTable) -> None:
        odd_source.needs(table)
        mapped = table.mapped
        with odd_source.open() as source:
            rows = whole(source, mapped, content="key")
            assert source.digests([Asked(mapped, content="key")]) == [Digest.of(rows[HASH])]
            assert rows[HASH].n_unique() == rows.select(table.key).n_unique()

    @pytest.mark.parametrize("table", odd.ODD_TABLES, ids=lambda table: table.name)
    def test_rows_are_found_again_by_the_keys_that_were_read(self, odd_source: OddSource, table: odd.OddTable) -> None:
        odd_source.needs(table)
        mapped = table.mapped
        with odd_source.open() as source:
            rows = whole(source, mapped)
            chosen = rows[::2].select(table.key).unique()
            found = pl.concat(source.read_keyed(mapped, table.key, chosen.rows()))
            wanted = rows.join(chosen, on=list(table.key), how="semi")
            assert sorted(found[HASH]) == sorted(wanted[HASH])

    def test_thousands_of_keys_are_asked_for(self, odd_source: OddSource) -> None:
        table = odd.LAYERS.mapped
        with odd_source.open() as source:
            asked = [("2026", "0", str(n)) for n in range(-3, 3_000)]
            found = pl.concat(source.read_keyed(table, table.key, asked))
            assert found.height == found[HASH].n_unique() == 9

    def test_rows_without_a_whole_key_are_read_by_themselves(self, odd_source: OddSource) -> None:
        with odd_source.open() as source:
            found = pl.concat(source.read_keyless(odd.KEYLESS.mapped))
            assert sorted(found["n"]) == ["1", "2", "3"]
            again = pl.concat(source.read_keyed(odd.KEYLESS.mapped, ("a", "b"), [(None, "x"), ("1", None)]))
            assert sorted(again["n"]) == ["1", "2"]
            assert list(source.read_keyless(odd.LAYERS.mapped)) == []

    def test_a_key_that_fills_more_than_a_range_ends_where_the_next_begins(self, odd_source: OddSource) -> None:
        with odd_source.open() as source:
            assert source.boundary(odd.KEYLESS.mapped, ("1", "x"), 4) == ("1", "y")
            assert source.boundary(odd.KEYLESS.mapped, ("8", "x"), 4) is None

    def test_only_the_years_asked_for_are_read(self, odd_source: OddSource) -> None:
        table = odd.LAYERS.mapped
        with odd_source.open() as source:
            rows = whole(source, table, years=(2025, 2026))
            assert set(rows["prop_val_yr"]) == {"2025", "2026"}
            parts = [whole(source, table, bounds=b, years=(2025, 2026)) for b in ranges(source, table, 7, (2025, 2026))]
            assert sorted(pl.concat(parts)[HASH]) == sorted(rows[HASH])
            assert source.digests([Asked(table, years=(2025, 2026))]) == [Digest.of(rows[HASH])]

    def test_a_hundred_ranges_of_several_tables_are_one_question(self, odd_source: OddSource) -> None:
        with odd_source.open() as source:
            asked = [
                Asked(table.mapped, bounds)
                for table in (odd.LAYERS, odd.WORDS, odd.IDENTIFIERS)
                for bounds in ranges(source, table.mapped, 2)
            ]
            found = source.digests(asked)
            assert len(asked) > 100
            assert found == [source.digests([one])[0] for one in asked]

    def test_every_hash_differs_where_a_value_does(self, odd_source: OddSource) -> None:
        with odd_source.open() as source:
            table = odd.RUNS.mapped
            assert whole(source, table)[HASH].n_unique() == len(odd.RUNS.rows)
            # the same without the number that every row has: null, the empty text and what runs together differ
            bare = table.model_copy(update={"columns": {"a": table.columns["a"], "b": table.columns["b"]}})
            rows = whole(source, bare.model_copy(update={"key": ("a", "b")}))
            keyless = pl.concat(source.read_keyless(bare.model_copy(update={"key": ("a", "b")})))
            assert pl.concat([rows, keyless])[HASH].n_unique() == len(odd.RUNS.rows)

    def test_every_value_comes_as_it_stands(self, odd_source: OddSource) -> None:
        with odd_source.open() as source:
            rows = {row["id"]: row for row in whole(source, odd.VALUES.mapped).to_dicts()}
        names = list(odd.VALUES.columns)
        for given in odd.VALUES.rows:
            row = dict(zip(names, given, strict=True))
            read = rows[str(row["id"])]
            for name in ("padded", "word", "narrow", "long", "day"):
                assert read[name] == row[name], name
            for name in ("exact", "money"):
                assert (read[name] and Decimal(read[name])) == (row[name] and Decimal(str(row[name]))), name
            assert (read["floating"] and float(read["floating"])) == (row["floating"] and float(str(row["floating"])))
            assert (read["bytes"] and read["bytes"].lower()) == row["bytes"]
            assert {"true": "1", "false": "0"}.get(read["truth"], read["truth"]) == row["truth"]
        assert rows["4"][HASH] != rows["5"][HASH]

    def test_padding_is_no_part_of_a_code(self, odd_source: OddSource) -> None:
        with odd_source.open() as source:
            assert set(whole(source, odd.PADDED.mapped)["code"]) == {"R", "RR", "C", "MN", ""}
            found = pl.concat(source.read_keyed(odd.PADDED.mapped, ("code",), [("R",)]))
            assert found["code"].to_list() == ["R"]

    def test_times_keep_every_digit_and_every_sentinel(self, odd_source: OddSource) -> None:
        with odd_source.open() as source:
            rows = normalise(odd.MOMENTS.mapped, whole(source, odd.MOMENTS.mapped))
        wanted = {(r[0].rstrip("0") if "." in str(r[0]) else r[0]) for r in odd.MOMENTS.rows if r[0]}
        assert {str(at).replace("T", " ") for at in rows["at"]} == wanted
        assert {f.replace("T", " ") for f in rows["fine"] if f} == {r[1] for r in odd.MOMENTS.rows if r[1]}

    @pytest.mark.parametrize("column", ["at", "fine"])
    def test_a_time_marker_loses_no_neighbour(self, odd_source: OddSource, column: str) -> None:
        table = odd.MOMENTS.mapped
        marker = Marker("timestamp", column)
        with odd_source.open() as source:
            rows = whole(source, table)
            values = [value for value in rows[column] if value is not None]
            for since in values:
                below = pl.concat([*source.changed(table, marker, None, since), rows.clear()])
                above = pl.concat([*source.changed(table, marker, since, "9999-12-31 23:59:59.997"), rows.clear()])
                assert since not in below[column].to_list()
                assert (since in above[column].to_list()) == (since < "9999-12-31 23:59:59.997")
                last = [v for v in values if v >= "9999-12-31 23:59:59.997"]
                assert sorted([*below[column], *above[column]]) == sorted(set(values) - set(last) | set(below[column]))

    def test_the_clock_is_the_servers(self, odd_source: OddSource) -> None:
        with odd_source.open() as source:
            now = source.now()
            mark = source.high_mark(odd.MOMENTS.mapped, Marker("timestamp", "fine"))
        assert now.tzinfo is UTC
        assert abs(now - datetime.now(UTC)) < timedelta(days=1)
        assert abs(datetime.fromisoformat(mark[:26]).replace(tzinfo=UTC) - now) < timedelta(days=2)

    def test_texts_of_queries_stay_the_same_whatever_is_asked(self, odd_source: OddSource) -> None:
        table = odd.LAYERS.mapped
        with odd_source.open() as source:
            assert isinstance(source, SqlSource)
            ask = source.statements
            keys: list[Key] = [("2024", "0", "1"), ("2025", "2", "-3"), ("2026", "1", "13")]
            texts = {ask.read(table, Bounds(key, key), (2025,), "row").text for key in keys}
            texts |= {ask.key_after(table, key, n, ()).text for n, key in enumerate(keys)}
            texts |= {query.text for n in (9, 20, 64) for query in ask.keyed(table, table.key, _many(n), (), "row")}
        assert len(texts) == 3

    def test_the_probe_knows_keys_types_and_what_differs(self, odd_source: OddSource) -> None:
        pair = odd_source.pair
        with odd_source.open() as source:
            catalog, facts = source.catalog(), source.facts()
        assert differences(pair, catalog) == []
        assert facts.tables["layers"].primary_key == ("prop_val_yr", "sup_num", "prop_id")
        assert catalog["layers"]["market"].scale == 10
        assert catalog["padded"]["code"].length == 5
        told = {(w.code, w.table) for w in warnings(pair, catalog, facts)}
        assert told == {
            ("mapping_key_not_unique", "keyless"),
            ("mapping_key_nullable", "keyless"),
            ("mapping_key_not_indexed", "keyless"),
        }

    def test_a_renamed_column_is_named_before_anything_is_read(self, odd_source: OddSource) -> None:
        with odd_source.open() as source:
            catalog = source.catalog()
            del catalog["words"]["place"]
            assert [d.column for d in differences(odd_source.pair, catalog)] == ["place"]
            with pytest.raises(TerraFusionError) as refused:
                list(source.read(odd.WORDS.mapped))
        assert refused.value.code == "mapping_column_missing"


def _many(number: int) -> list[Key]:
    return [("2026", "0", str(n)) for n in range(number)]
