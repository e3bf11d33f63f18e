import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.diff import compare
from services.ingest.domain.rows import DIGEST, KEY

tables = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from("123"))


def frame(rows: dict[str, str]) -> pl.DataFrame:
    return pl.DataFrame({KEY: list(rows), DIGEST: list(rows.values())}, schema={KEY: pl.String, DIGEST: pl.String})


@given(tables, tables, st.sets(st.sampled_from("abcdefgh")))
def test_the_difference_turns_what_was_landed_into_what_was_read(
    landed: dict[str, str], read: dict[str, str], held: set[str]
) -> None:
    accepted = {key: value for key, value in read.items() if key not in held}
    difference = compare(frame(landed), frame(accepted), held_back=pl.Series(list(held), dtype=pl.String))
    written = dict(difference.written.select(KEY, DIGEST).iter_rows())
    kept = {key: value for key, value in landed.items() if key not in set(difference.deleted)}
    assert kept | written == accepted | {key: value for key, value in landed.items() if key in held}
    assert set(difference.created[KEY]) == accepted.keys() - landed.keys()
    assert set(difference.updated[KEY]) == {k for k in accepted.keys() & landed.keys() if accepted[k] != landed[k]}
    assert difference.rows_unchanged == len(accepted) - len(written)
    assert difference.changes == len(written) + len(difference.deleted)
