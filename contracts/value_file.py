"""The file that an approved run becomes for the legacy system: its layout, as a county's `mappings.yaml` says it."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

ValueFileField = Literal[
    "parcel_id", "parcel_number", "tax_year", "supplement", "value_usd", "land_value_usd", "improvement_value_usd",
    "valuation_date", "run_id", "constant",
]  # fmt: skip
"""What a column of the file says; nothing of a person is among it."""

RecordField = Literal["total_value_usd", "market_value_usd"]


class Section(BaseModel):
    """A part of a layout: a misspelt key is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ValueFileColumn(Section):
    """A column of the value file."""

    name: str = Field(pattern=r"^\w{1,60}$", description="as the legacy system calls it; the heading of a CSV file")
    value: ValueFileField
    text: str = Field(default="", max_length=100, description="of `constant`")
    width: int | None = Field(default=None, ge=1, le=500, description="characters, of a fixed layout")
    align: Literal["left", "right"] = Field(default="left", description="of a fixed layout")
    pad: str = Field(default=" ", min_length=1, max_length=1, description="of a fixed layout: what fills the width")


def _columns(*names: str) -> tuple[ValueFileColumn, ...]:
    return tuple(ValueFileColumn.model_validate({"name": name, "value": name}) for name in names)


class ValueFileLayout(Section):
    """How values are written for the legacy system's import, and where they come back from it."""

    format: Literal["csv", "fixed"] = "csv"
    columns: tuple[ValueFileColumn, ...] = Field(
        default=_columns("parcel_id", "tax_year", "value_usd", "land_value_usd", "improvement_value_usd"),
        min_length=1,
        validate_default=True,
    )
    encoding: Literal["utf-8", "latin-1", "ascii"] = "utf-8"
    line_end: Literal["crlf", "lf"] = "crlf"
    delimiter: str = Field(default=",", min_length=1, max_length=1, description="of a CSV file")
    header: bool = Field(default=True, description="of a CSV file: the columns' names in the first line")
    date_format: str = Field(default="%Y-%m-%d", max_length=40, description="of `valuation_date`, as `strftime` has it")
    round_to_usd: int = Field(default=1, ge=1, le=100_000, description="values are rounded half up to multiples of it")
    comes_back_as: RecordField = Field(
        default="total_value_usd", description="the field of the record that the posted value returns in"
    )

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            raise ValueError("two columns of the value file have the same name")
        values = {column.value for column in self.columns}
        if not values & {"parcel_id", "parcel_number"} or "value_usd" not in values:
            raise ValueError("a value file says the parcel (parcel_id or parcel_number) and value_usd")
        if self.format == "fixed" and any(column.width is None for column in self.columns):
            raise ValueError("every column of a fixed layout has a width")
        if self.format == "csv" and any(column.width is not None for column in self.columns):
            raise ValueError("columns of a CSV file have no width")
        return self

    @property
    def has_parts(self) -> bool:
        """Whether land and improvements are written, each for itself."""
        return any(column.value in {"land_value_usd", "improvement_value_usd"} for column in self.columns)
