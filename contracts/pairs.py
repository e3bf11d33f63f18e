"""How several systems feed one record: what a mapping says beyond the one system that makes the parcels."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

PairRole = Literal["primary", "contributing", "parallel"]
"""`primary` makes the parcels, `contributing` says some fields of them, `parallel` is only landed, to be compared."""

OURS = "terrafusion"
"""The origin of a change that TerraFusion itself caused at the source."""


class Section(BaseModel):
    """A part of a mapping: a misspelt key is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Match(Section):
    """How a pair that does not make the parcels finds them: by what its link `parcel_id` is in the record."""

    parcel: Literal["parcel_id", "parcel_number"] = "parcel_id"
    ignore: str = Field(default="", description="characters that count for nothing, as the dashes in a parcel number")

    def spelt(self, value: str) -> str:
        """A value without what counts for nothing."""
        return value.strip().translate(dict.fromkeys(map(ord, self.ignore)))


class OriginMark(Section):
    """How rows are known that TerraFusion's own values were written to, such as by the user who wrote them last."""

    column: str
    ours: tuple[str, ...] = Field(min_length=1, description="the values of the column that mean TerraFusion")
