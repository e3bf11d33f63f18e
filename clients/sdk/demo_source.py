"""The legacy systems of the demonstration: a synthetic PACS database, and a folder of real county files."""

import csv
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from chassis.embedded.databases import create_database
from clients.sdk.platform import Platform

if TYPE_CHECKING:
    from services.ingest.synthetic.truth import Truth

Fact = tuple[str, str]


class DemoSource(Protocol):
    """A legacy system that the demonstration follows, and what is known of it."""

    @property
    def county(self) -> str:
        """The county's name."""

    @property
    def pair(self) -> str:
        """The sync pair."""

    @property
    def study(self) -> dict[str, Any]:
        """The arguments of the ratio study."""

    def prepare(self) -> dict[str, str]:
        """Fill the source; returns the services' settings for it."""

    def change(self) -> list[Fact]:
        """Change the source; returns the facts (event type, id) that must come of it."""

    def expected_quarantine(self) -> list[tuple[str, str]] | None:
        """The (table, rule) of every row that must be quarantined; null where nobody planted any."""

    def planted_trend_percent(self) -> float | None:
        """The monthly price trend that was planted; null where the market is real."""


@dataclass
class SyntheticSource:
    """A synthetic county in a PACS-shaped database beside the operational one, read with a SELECT-only login."""

    platform: Platform
    parcels: int = 3000
    seed: int = 1
    county: str = "synthetic_wa"
    study: dict[str, Any] = field(default_factory=dict)
    truth: "Truth | None" = None
    owner_url: str = ""

    @property
    def pair(self) -> str:
        """The sync pair of the county's mappings."""
        return f"{self.county}_pacs"

    def prepare(self, *, keep: bool = False) -> dict[str, str]:
        """Synthesize the county unless it is there and shall be kept."""
        from services.ingest.synthetic.county import (  # noqa: PLC0415 heavy, and only for this source
            create_read_only_login,
            read_truth,
            synthesize,
            write_truth,
        )

        self.owner_url = create_database(self.platform.database_url, self.pair)
        path = self.platform.folder / self.county / "truth.json"
        if keep and path.exists():
            self.truth = read_truth(path)
        else:
            self.truth = synthesize(self.owner_url, county=self.county, parcels=self.parcels, seed=self.seed)
            write_truth(path, self.truth)
        url = create_read_only_login(self.owner_url, user="pacs_reader", password=secrets.token_urlsafe(18))
        return {f"TERRAFUSION_SOURCE_{self.pair.upper()}_URL": url}

    def change(self) -> list[Fact]:
        """Play the planted changes."""
        from services.ingest.synthetic.county import apply_changes  # noqa: PLC0415 as above

        played = apply_changes(self.owner_url, self._known())
        return [(fact.subject, fact.id) for change in played for fact in change.facts]

    def expected_quarantine(self) -> list[tuple[str, str]]:
        """The dirty rows that were planted."""
        return [(row.table, row.rule.value) for row in self._known().dirty_rows]

    def planted_trend_percent(self) -> float:
        """The trend of the synthetic price process."""
        return self._known().monthly_trend_percent

    def _known(self) -> "Truth":
        assert self.truth is not None
        return self.truth


@dataclass
class FolderSource:
    """A copy of a folder of real county files (`properties.csv`, `sales.csv`, `parcels.geojson`)."""

    data: Path
    folder: Path
    county: str = "lebanon_nh"
    pair: str = "lebanon_nh_files"
    study: dict[str, Any] = field(
        default_factory=lambda: {"from_date": "2024-01-01", "use_codes": ["1010"], "minimum_price_usd": 20_000.01}
    )

    def prepare(self) -> dict[str, str]:
        """Copy the files: the demonstration edits them."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("properties.csv", "sales.csv", "parcels.geojson"):
            if not (self.data / name).is_file():
                raise FileNotFoundError(f"{self.data / name}: no such file; --data names a folder that holds it")
            shutil.copyfile(self.data / name, self.folder / name)
        return {f"TERRAFUSION_SOURCE_{self.pair.upper()}_URL": f"file://{self.folder.absolute()}"}

    def change(self) -> list[Fact]:
        """Four reassessments, a demolition, two sales that turn out not to be at arm's length, two new sales."""
        facts = self._edit("properties.csv", self._edit_properties)
        return facts + self._edit("sales.csv", self._edit_sales)

    def expected_quarantine(self) -> None:
        """Nobody planted dirt in real files."""

    def planted_trend_percent(self) -> None:
        """The market is real."""

    def _edit(self, name: str, edit: Callable[[list[dict[str, str]]], list[Fact]]) -> list[Fact]:
        path = self.folder / name
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), list(reader.fieldnames or ())
        facts = edit(rows)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
        return facts

    def _edit_properties(self, rows: list[dict[str, str]]) -> list[Fact]:
        facts: list[Fact] = []
        for row in self._unstudied(rows)[100:104]:
            row["assessed_total"] = str(float(row["assessed_total"]) + 1000)
            row["assessed_land"] = str(float(row["assessed_land"]) + 1000)
            facts.append(("parcel.changed", row["parcel_id"]))
        removed = self._unstudied(rows)[200]
        rows.remove(removed)
        return [*facts, ("parcel.removed", removed["parcel_id"])]

    def _edit_sales(self, rows: list[dict[str, str]]) -> list[Fact]:
        facts: list[Fact] = []
        with (self.folder / "properties.csv").open(newline="", encoding="utf-8") as file:
            known = {row["parcel_id"] for row in self._unstudied(list(csv.DictReader(file)))}
        latest = [row for row in rows if row["seq"] == "0" and row["parcel_id"] in known]
        for row in [row for row in latest if row["qualified"] == "Q" and row["sale_date"] > "2020"][:2]:
            row["qualified"] = "U"
            facts.append(("sale.changed", sale_id(row)))
        for row in latest[400:402]:
            new = {**row, "sale_date": "2025-08-01", "sale_price": "325000.0", "qualified": "Q"}
            rows.append(new)
            facts.append(("sale.recorded", sale_id(new)))
        return facts

    def _unstudied(self, rows: list[dict[str, str]]) -> list[dict[str, str]]:
        """Properties outside the ratio study, so that its figures stay those of the files as they came."""
        return [row for row in rows if row["use_code"] not in self.study["use_codes"]]


def sale_id(row: dict[str, str]) -> str:
    """The id that the mapping gives a sale of the files: parcel, date and price."""
    return f"{row['parcel_id']}:{row['sale_date']}:{float(row['sale_price']):.0f}"
