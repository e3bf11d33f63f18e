"""How a file of a delivery is written, where that is not told by the file itself."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Place = tuple[
    Annotated[int, Field(ge=1, description="the first character, counted from 1")],
    Annotated[int, Field(ge=1, description="the last character, which belongs to the column")],
]
ScaledPlace = tuple[int, int, Annotated[int, Field(ge=0, le=18, description="decimals that the file does not point")]]
Layout = dict[str, Place | ScaledPlace]
"""The columns of a fixed-width record, as a layout document says them."""

FixedLayoutName = Literal["appraisal_info", "land_detail", "improvement_info", "improvement_detail"]
"""Layouts that come with the connector: files of the PACS export layout 8.0.x."""


class FileFormat(BaseModel):
    """How to read a file; what is null is found out from the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoding: str | None = Field(default=None, description="null: UTF-8 where all of it is, else Windows-1252")
    delimiter: str | None = Field(default=None, min_length=1, max_length=1, description="null: the header's , ; tab |")
    quote: str = Field(default='"', max_length=1, description="empty: a quotation mark is a letter as any other")
    layout: Layout | FixedLayoutName | None = Field(
        default=None, description="fixed width: `column: [first, last, implied decimals?]`, or one by name"
    )
    layer: str | None = Field(default=None, description="of a GeoPackage or a FeatureServer, by name or number")
    date_formats: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="how a column's dates are spelled (strptime); others are ISO 8601"
    )
    empty_if_missing: tuple[str, ...] = Field(
        default=(), description="columns in which nothing means the empty text, such as a part of a key"
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if isinstance(self.layout, dict):
            wrong = sorted(name for name, place in self.layout.items() if not 1 <= place[0] <= place[1])
            if wrong:
                raise ValueError(f"the layout's columns {wrong} do not end after they begin")
        if not f"{self.delimiter or ''}{self.quote}".isascii():
            raise ValueError("delimiter and quote are ASCII characters")
        return self
