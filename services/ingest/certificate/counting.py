"""What an ordinary run asks its source for, so that it can be certified: counts and digests in one round trip."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from contracts.mapping import Link, Pair, SourceTable
from services.ingest.certificate.source_side import SourceTableReading
from services.ingest.domain.certificate import SourceSide
from services.ingest.domain.checks import Known
from services.ingest.domain.order import lands_filtered
from services.ingest.operation.gentle import GentleSource
from services.ingest.readers.batch import KEYLESS, TableState
from services.ingest.sources.source import WHOLE, Asked, Digest, SourceFacts, TableFacts

LOGS = ("cdc", "change_tracking")


@dataclass(frozen=True, slots=True)
class Counted:
    """A table as the source counts it; kept with the open run as JSON."""

    rows: int | None
    digest: str | None = None
    """Of what the table's ranges have digests of; null: they do not tell."""
    may_leave_out: bool = True
    """Whether rows may be left out of which nothing is stored."""
    is_one_moment: bool = True
    """Whether everything was read at one moment: else what differs may have changed meanwhile."""
    is_idle: bool = False
    """The source confirmed every range, and nothing was read."""

    def to_dict(self) -> dict[str, object]:
        """As JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


def count_source(
    source: GentleSource, pair: Pair, facts: SourceFacts, read: Sequence[TableState], idle: Sequence[TableState]
) -> dict[str, Counted]:
    """Counts of the tables that were read; those that were not were just compared range by range."""
    asked = [Asked(s.table, WHOLE, s.years, "key" if _is_log(s) else s.content) for s in read]
    found: dict[str, Counted] = {}
    for state, digest in zip(read, source.digests(asked) if asked else [], strict=True):
        found[state.table.name] = Counted(
            digest.rows if digest is not None else None,
            str(digest) if digest is not None and not _is_log(state) else None,
            may_leave_out=_may_leave_out(pair, state.table, facts),
            is_one_moment=source.is_consistent and not _is_log(state),
        )
    for state in idle:
        digests = [known.digest for known in state.ranges if known.digest and known.number != KEYLESS]
        total = sum(digests, Digest())
        left_out = _may_leave_out(pair, state.table, facts)
        found[state.table.name] = Counted(total.rows, str(total), left_out, source.is_consistent, is_idle=True)
    return found


def read_source_again(
    source: GentleSource,
    pair: Pair,
    states: Sequence[TableState],
    *,
    known: Callable[[SourceTable], Known],
    today: date,
) -> dict[str, SourceSide]:
    """Every row of the tables once more, judged; in the same picture of the source where that stands still."""
    found = {}
    for state in states:
        seen: list[Known] = []

        def look_up(table: SourceTable = state.table, seen: list[Known] = seen) -> Known:
            if not seen:
                seen.append(known(table))
            return seen[0]

        reading = SourceTableReading(
            pair, state.table, source, look_up, today, years=state.years,
            lands_filtered=lands_filtered(pair, state.table),
        )  # fmt: skip
        found[state.table.name] = reading.work()
    return found


def can_be_read_again(source: GentleSource, states: Sequence[TableState]) -> bool:
    """Whether a second reading gives what the first gave: of one moment, and no log that ended before."""
    return source.is_consistent and not any(_is_log(state) for state in states)


def _is_log(state: TableState) -> bool:
    """Whether changes are told of up to a mark that is taken before the rows are counted."""
    return state.marker is not None and state.marker.kind in LOGS


def _may_leave_out(pair: Pair, table: SourceTable, facts: SourceFacts) -> bool:
    """Whether the mapping leaves rows out, by a condition, by the scope, or as repeats of a key."""
    known = facts.tables.get(table.name, TableFacts())
    keys = (known.primary_key, *known.unique_keys)
    is_unique = any(key and set(key) <= set(table.key) for key in keys)
    of_scope = pair.scope is not None and table.name != pair.scope and Link.PARCEL_ID in table.links
    return bool(table.where) or of_scope or not is_unique
