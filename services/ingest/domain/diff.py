"""What is different from what was landed: the hash_diff reader's comparison."""

from dataclasses import dataclass

import polars as pl

from services.ingest.domain.rows import DIGEST, KEY


@dataclass(frozen=True, slots=True)
class Difference:
    """A table's rows that are new or other than landed, and the keys that are gone."""

    created: pl.DataFrame
    updated: pl.DataFrame
    deleted: pl.Series
    rows_unchanged: int

    @property
    def changes(self) -> int:
        """How many source rows changed."""
        return self.created.height + self.updated.height + len(self.deleted)

    @property
    def written(self) -> pl.DataFrame:
        """The rows that have to be landed."""
        return pl.concat([self.created, self.updated])


def compare(landed: pl.DataFrame, accepted: pl.DataFrame, *, held_back: pl.Series) -> Difference:
    """Compares accepted rows with what was landed (`@key`, `@digest`).

    A key in `held_back` is in the source but in quarantine: its last good row stays.
    """
    known = landed.select(KEY, pl.col(DIGEST).alias("@landed"))
    matched = accepted.join(known, on=KEY, how="left", maintain_order="left")
    created = matched.filter(pl.col("@landed").is_null()).drop("@landed")
    updated = matched.filter(pl.col("@landed") != pl.col(DIGEST)).drop("@landed")
    gone = landed.join(accepted, on=KEY, how="anti").filter(~pl.col(KEY).is_in(held_back.implode()))
    return Difference(
        created=created,
        updated=updated,
        deleted=gone[KEY],
        rows_unchanged=accepted.height - created.height - updated.height,
    )
