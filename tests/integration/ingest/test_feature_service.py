"""The ArcGIS connector against a server with the habits of the real ones: nothing is ever lost without a word."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import polars as pl
import pytest
import shapely

from chassis.errors import PermanentError, TransientError
from contracts.mapping import SourceTable
from services.ingest.sources.arcgis import ArcGis
from services.ingest.sources.feature_service import FeatureServiceSource, open_feature_service
from services.ingest.sources.source import HASH
from tests.support.deliveries import file_pair, file_table
from tests.support.feature_server import FeatureServer, Row

FIELDS = {
    "Prop_ID": "esriFieldTypeInteger",
    "geo_id": "esriFieldTypeString",
    "LandVal": "esriFieldTypeDouble",
    "edited": "esriFieldTypeDate",
    "year": "esriFieldTypeSmallInteger",
}
COLUMNS = {"Prop_ID": "integer", "geo_id": "text", "LandVal": "decimal", "edited": "timestamp", "shape": "geometry"}
PLAIN = {name: kind for name, kind in COLUMNS.items() if name != "shape"}
SQUARE = [[[0, 0], [0, 2], [2, 2], [2, 0], [0, 0]]]


def row(number: int, **more: Any) -> Row:
    return {
        "OBJECTID": number,
        "Prop_ID": number,
        "geo_id": f"1-{number}",
        "LandVal": 1.5,
        "edited": 0,
        "year": 2024,
    } | more


def parcels(columns: dict[str, str] = PLAIN, **more: Any) -> SourceTable:
    return file_table("unused", columns, file_format={"layer": "Parcels_and_Assess"}, **more)


@pytest.fixture
def server() -> Iterator[FeatureServer]:
    with FeatureServer(FIELDS, max_record_count=10) as found:
        yield found


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def source(server: FeatureServer, waits: list[float]) -> Iterator[FeatureServiceSource]:
    pair = file_pair(parcels(), "feature_service")
    with httpx.Client() as client:
        yield FeatureServiceSource(ArcGis(client, server.url, wait=waits.append), pair)


def read(source: FeatureServiceSource, table: SourceTable | None = None, **how: Any) -> pl.DataFrame:
    return pl.concat(list(source.read(table or parcels(), **how)))


def code_of(source: FeatureServiceSource, table: SourceTable | None = None) -> tuple[type[Exception], str]:
    with pytest.raises((PermanentError, TransientError)) as caught:
        read(source, table)
    return caught.type, caught.value.code


def test_every_row_of_a_county_is_read_page_by_page(source: FeatureServiceSource, server: FeatureServer) -> None:
    server.max_record_count = 2_000
    server.add([row(number) for number in range(1, 89_001)])
    found = read(source)
    assert found.height == found[HASH].n_unique() == 89_000
    assert max(int(form["resultOffset"]) for form in server.asked if "resultOffset" in form) == 88_000


def test_an_answer_that_is_cut_off_without_a_word_is_read_on(
    source: FeatureServiceSource, server: FeatureServer
) -> None:
    server.says_when_cut_off = False
    server.add([row(number) for number in range(1, 26)])
    assert read(source)["Prop_ID"].to_list() == [str(number) for number in range(1, 26)]


@pytest.mark.parametrize("says_when_cut_off", [True, False])
def test_a_layer_that_gives_less_than_it_counts_is_refused(
    source: FeatureServiceSource,
    server: FeatureServer,
    says_when_cut_off: bool,  # noqa: FBT001 a parameter of the test
) -> None:
    server.max_record_count, server.gives_at_most = 2_000, 1_977
    server.says_when_cut_off = says_when_cut_off
    server.add([row(number) for number in range(1, 2_501)])
    assert code_of(source) == (PermanentError, "source_count_differs")


def test_a_server_that_does_not_heed_the_offset_is_refused(source: FeatureServiceSource, server: FeatureServer) -> None:
    server.heeds_offset = False
    server.add([row(number) for number in range(1, 26)])
    assert code_of(source) == (TransientError, "source_changed_meanwhile")


@pytest.mark.parametrize(
    "edits",
    [
        ["DELETE FROM layer WHERE OBJECTID = 3"],
        ["INSERT INTO layer (OBJECTID, Prop_ID) VALUES (90, 90)"],
        # the row that moves up into the page before is never given, and no count shows it
        ["DELETE FROM layer WHERE OBJECTID = 3", "INSERT INTO layer (OBJECTID, Prop_ID) VALUES (90, 90)"],
        ["UPDATE layer SET OBJECTID = 91 WHERE OBJECTID = 4"],
        ["UPDATE layer SET OBJECTID = 0 WHERE OBJECTID = 24"],
    ],
)
def test_a_row_that_moves_while_paging_is_noticed(
    source: FeatureServiceSource, server: FeatureServer, edits: list[str]
) -> None:
    server.edited = None  # the layer does not even say when it was edited
    server.add([row(number) for number in range(1, 26)])
    server.on_page = lambda offset: [server.execute(edit) for edit in edits] if offset == 10 else None
    assert code_of(source) == (TransientError, "source_changed_meanwhile")
    server.on_page = None
    found = read(source)  # the next try finds the layer at rest
    assert (
        found.height
        == server.answer(
            f"{server.url[server.url.index('/arcgis') :]}/0/query", {"where": "1=1", "returnCountOnly": "true"}
        )[1]["count"]
    )


def test_an_edit_that_moves_no_row_is_noticed_by_the_layers_own_stamp(
    source: FeatureServiceSource, server: FeatureServer
) -> None:
    server.add([row(number) for number in range(1, 26)])

    def edit(offset: int) -> None:
        if offset == 10:
            server.execute("UPDATE layer SET LandVal = 9 WHERE OBJECTID = 2")
            server.edited = 2

    server.on_page = edit
    assert code_of(source) == (TransientError, "source_changed_meanwhile")


def test_an_overloaded_server_is_asked_again(
    source: FeatureServiceSource, server: FeatureServer, waits: list[float]
) -> None:
    server.add([row(number) for number in range(1, 26)])
    busy = {"error": {"code": 503, "message": "busy", "details": []}}
    server.answers = [None, (429, {}, {"Retry-After": "7"}), (500, {}, {}), (200, busy, {})]
    assert read(source).height == 25
    assert waits[0] == 7
    assert 1 <= waits[1] <= 2 <= waits[2] <= 4  # the second and third of waits that double
    server.answers = [None, *[(503, {}, {})] * 6]
    assert code_of(source) == (TransientError, "source_unavailable")


def test_errors_that_come_as_success_are_errors(source: FeatureServiceSource, server: FeatureServer) -> None:
    server.add([row(1)])
    for number, expected in ((499, "source_forbidden"), (498, "source_forbidden"), (400, "source_refused")):
        server.answers = [None, None, (200, {"error": {"code": number, "message": "no", "details": []}}, {})]
        assert code_of(source) == (PermanentError, expected)


def test_a_token_travels_in_the_body(server: FeatureServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.token = "not-for-logs"
    server.add([row(1)])
    pair = file_pair(parcels(), "feature_service")
    with pytest.raises(PermanentError, match="Token Required"), open_feature_service(pair, server.url):
        pass
    monkeypatch.setenv("TERRAFUSION_SOURCE_A_PAIR_TOKEN", "not-for-logs")
    with open_feature_service(pair, f"{server.url}/") as source:
        assert pl.concat(list(source.read(parcels())))["geo_id"].to_list() == ["1-1"]
        assert source.database == "Parcels"
        assert abs((source.now() - datetime.now(UTC)).total_seconds()) < 60


def test_values_and_shapes_are_texts_in_the_layers_own_crs(source: FeatureServiceSource, server: FeatureServer) -> None:
    server.add([row(1, edited=1_700_000_000_123, LandVal=0.1), row(2, geo_id="", edited=-1), row(3, LandVal=None)])
    server.geometries = {1: {"rings": SQUARE}, 2: {"rings": [[[0, 0], [1, 1]]]}}
    found = read(source, parcels(COLUMNS, epsg=2927))
    assert found["edited"].to_list() == [
        "2023-11-14T22:13:20.123",
        "1969-12-31T23:59:59.999",
        "1970-01-01T00:00:00.000",
    ]
    assert (found["LandVal"].to_list(), found["geo_id"].to_list()) == (["0.1", "1.5", None], ["1-1", "", "1-3"])
    assert shapely.from_wkb(found["shape"][0]).equals(shapely.box(0, 0, 2, 2))
    assert found["shape"].to_list()[1:] == ["unreadable", None]
    assert read(source, parcels(COLUMNS, epsg=102749)).height == 3  # the same CRS by Esri's own number
    assert code_of(source, parcels(COLUMNS, epsg=4326)) == (PermanentError, "source_crs_differs")
    assert source.catalog()["roll"]["geo_id"].type == "varchar"
    assert source.facts().more["roll"]["last_edit_date"] == 1


def test_rows_are_found_by_key_year_and_lack_of_a_key(source: FeatureServiceSource, server: FeatureServer) -> None:
    server.add([row(1, geo_id="O'Neil"), row(2, year=2023), row(3, Prop_ID=None), row(4, geo_id=None)])
    table = parcels({**PLAIN, "year": "integer"}, links={"tax_year": "year"})
    assert read(source, table)["geo_id"].to_list() == ["O'Neil", "1-2", None]
    assert read(source, table, years=(2023, 2022))["Prop_ID"].to_list() == ["2"]
    assert pl.concat(list(source.read_keyless(table)))["geo_id"].to_list() == ["1-3"]

    def keyed(*columns: str, values: list[tuple[str | None, ...]]) -> list[str]:
        found = list(source.read_keyed(table, columns, values))
        return pl.concat(found)["Prop_ID"].to_list() if found else []

    assert keyed("geo_id", values=[("O'Neil",), (None,), ("nobody",)]) == ["1", "4"]
    assert keyed("Prop_ID", "geo_id", values=[("2", "1-2"), ("2", "1-1"), ("x or 1=1", "1-2")]) == ["2"]
