"""A NUL character in a text, which PostgreSQL cannot hold: its row waits in quarantine, and the run goes on."""

from pathlib import Path
from typing import Any

from tests.support.pair_benches import pair_bench
from tests.support.small_source import COUNTY, PAIR, lot_table, small_pair, write_county
from tests.support.sync_jobs import SyncBench


def _write(folder: Path, *lines: bytes) -> None:
    (folder / "lot.csv").write_bytes(b"\n".join([b"lot_id,number,amount,note", *lines, b""]))


async def _quarantine(bench: SyncBench) -> list[tuple[Any, ...]]:
    rows = await bench.fetch("SELECT key, rule, field, value FROM ingest.quarantine_v1 ORDER BY key, rule")
    return [(row["key"], row["rule"], row["field"], row["value"]) for row in rows]


async def _parcels(bench: SyncBench) -> dict[str, tuple[str, str]]:
    rows = await bench.fetch("SELECT parcel_id, parcel_number, zoning FROM ingest.parcel_v1 WHERE is_active")
    return {row["parcel_id"]: (row["parcel_number"], row["zoning"]) for row in rows}


async def test_rows_with_nul_characters_wait_in_quarantine_until_they_are_mended(
    database_url: str, tmp_path: Path
) -> None:
    table = lot_table(file="lot.csv", key=["number"], links={"parcel_id": "number"}, personal=[])
    counties = write_county(tmp_path / "counties", {**small_pair(table), "connector": "files"})
    files = tmp_path / "files"
    files.mkdir()
    sound = b"1,A,1,padded\0\0 \0"
    _write(files, sound, b"2,B,2,in\0side", b"3,C\0C,3,x", b"4,D,4\0 4,y")
    async with pair_bench(
        database_url, county=COUNTY, pair=PAIR, source_url=files.as_uri(), folder=tmp_path, counties_dir=counties
    ) as bench:
        first = await bench.run("full")
        assert first["status"] == "succeeded", first["error"]
        result = first["result"]
        assert (result["rows_read"], result["rows_applied"], result["rows_quarantined"]) == (4, 1, 3)
        assert await _quarantine(bench) == [
            ("", "value_unreadable", "number", "C\N{SYMBOL FOR NULL}C"),
            ("B", "value_unreadable", "note", "in\N{SYMBOL FOR NULL}side"),
            ("D", "value_unreadable", "amount", "4\N{SYMBOL FOR NULL} 4"),
        ]
        assert await _parcels(bench) == {"A": ("A", "padded")}
        _write(files, b"1,A,1,padded", b"2,B,2,inside", b"3,CC,3,x", b"4,D,44,y")
        second = await bench.run("incremental")
        assert second["status"] == "succeeded", second["error"]
        assert (second["result"]["rows_applied"], second["result"]["rows_unchanged"]) == (3, 1)
        assert await _quarantine(bench) == []
        assert sorted(await _parcels(bench)) == ["A", "B", "CC", "D"]
        _write(files, b"1,A,1,padded", b"2,B,2,in\0side", b"3,CC,3,x", b"4,D,44,y")
        third = await bench.run("incremental")
        assert third["result"]["rows_quarantined"] == 1
        assert (await _parcels(bench))["B"] == ("B", "inside")
