"""Sales chasing in a ratio study: four tests, each with what it saw in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from appraisal.sales_chasing import ChasingTest, cdf_gap, concentration, sold_unsold_change, split_sample
from services.reporting.domain.document import Cell, Column, Note, Section, Table
from services.reporting.domain.standards import STANDARD

CHANGE_COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "parcel_id": pl.String,
    "neighborhood": pl.String,
    "change": pl.Float64,
}
TITLES = {
    "concentration": "Ratios concentrated at the level of assessment",
    "cdf_gap": "Jump of the ratios at the level of assessment",
    "sold_unsold_change": "Value changes of sold and unsold property",
    "split_sample": "Sales before and after the roll date",
}
REASONS = {
    "too_few_sales": "too few sales",
    "too_few_properties": "too few properties with a value of the year before",
    "level_far_from_ratios": "the ratios are far from the level",
    "no_prior_values": "the values of the year before are not those under study",
    "roll_date_unknown": "no roll date is known of the values under study",
}
NOTE = Note(
    "chasing",
    "Sales chasing",
    "Whether sold property was appraised otherwise than unsold. A test is suspicious where chance does not explain "
    "what it sees (1 percent) and the size matters: 3 percent of the sales, half as many again as a smooth curve has "
    "near the level; 3 percent between the medians of the changes, within neighborhoods; ratios of earlier sales at "
    "most 0.8 times as far apart as those of later ones. Suspicion is no proof: new construction between two rolls "
    "changes values too.",
    reference=f"{STANDARD}, Appendix E",
)


@dataclass(frozen=True, kw_only=True)
class ChasingEvidence:
    """What is known of the values beside the ratios; `changes` (CHANGE_COLUMNS) are new over old values of parcels."""

    level: float
    roll_date: date | None = None
    changes: pl.DataFrame | None = None


def chasing_tests(used: pl.DataFrame, recorded: pl.DataFrame, evidence: ChasingEvidence) -> tuple[ChasingTest, ...]:
    """All four tests on the sales used; parcels with any recorded sale of the window are not unsold."""
    ratio = used["ratio"].to_numpy()
    return (
        concentration(ratio, level=evidence.level),
        cdf_gap(ratio, level=evidence.level),
        _changes(used, recorded, evidence),
        _split(used, evidence),
    )


def _changes(used: pl.DataFrame, recorded: pl.DataFrame, evidence: ChasingEvidence) -> ChasingTest:
    if evidence.changes is None:
        return ChasingTest(name="sold_unsold_change", is_suspicious=None, reason="no_prior_values")
    known = evidence.changes.with_columns(pl.col("neighborhood").fill_null(""))
    earlier = used.filter(pl.col("sale_date") <= evidence.roll_date) if evidence.roll_date else used
    sold = known.filter(pl.col("parcel_id").is_in(earlier["parcel_id"].implode()))
    unsold = known.filter(~pl.col("parcel_id").is_in(recorded["parcel_id"].implode()))
    return sold_unsold_change(
        sold["change"].to_numpy(),
        unsold["change"].to_numpy(),
        sold_stratum=sold["neighborhood"].to_list(),
        unsold_stratum=unsold["neighborhood"].to_list(),
    )


def _split(used: pl.DataFrame, evidence: ChasingEvidence) -> ChasingTest:
    if evidence.roll_date is None:
        return ChasingTest(name="split_sample", is_suspicious=None, reason="roll_date_unknown")
    days = (used["sale_date"] - evidence.roll_date).dt.total_days()
    return split_sample(used["ratio"].to_numpy(), days.to_numpy())


def chasing_section(tests: tuple[ChasingTest, ...]) -> Section:
    """The tests as a table."""
    columns = (
        Column("test", "Test", grow=True),
        Column("finding", "Finding"),
        Column("seen", "What was seen", grow=True),
        Column("p_value", "Chance (p)"),
    )
    rows = tuple(_row(test) for test in tests)
    return Section("chasing", "Sales chasing", tables=(Table("chasing", "Tests for sales chasing", columns, rows),))


def count_suspicious(tests: tuple[ChasingTest, ...]) -> int:
    """How many of the tests are suspicious."""
    return sum(bool(test.is_suspicious) for test in tests)


def _row(test: ChasingTest) -> tuple[Cell, ...]:
    if test.is_suspicious is None:
        return TITLES[test.name], "Not made", REASONS[test.reason or "too_few_sales"], ""
    chance = "" if test.p_value is None else "< 0.001" if test.p_value < 0.001 else f"{test.p_value:.3f}"
    return TITLES[test.name], "Suspicious" if test.is_suspicious else "Not suspicious", _seen(test), chance


def _seen(test: ChasingTest) -> str:
    said = {name: f"{100 * value:.1f}%" for name, value in test.figures.items()}
    words: Mapping[str, str] = {
        "concentration": "{share} of the sales within 2% of the level; a smooth curve has {expected_share}",
        "cdf_gap": "{gap} of the sales at nearly one ratio, beyond those around it",
        "sold_unsold_change": "values of sold property changed by {difference} more than those of unsold",
        "split_sample": "ratios {spread_before} from their median before the roll date, {spread_after} after it",
    }
    return words[test.name].format_map(said)
