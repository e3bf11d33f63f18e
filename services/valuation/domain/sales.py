"""The sales that a model may learn from: screened, none after the valuation date, carried to that date."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from services.valuation.domain.attributes import NO_ATTRIBUTES, Attributes
from services.valuation.domain.properties import (
    BoolArray,
    FloatArray,
    IntArray,
    Properties,
    TextArray,
    UseCodes,
    properties,
)

MINIMUM_SALES = 30


@dataclass(frozen=True, kw_only=True)
class Sales:
    """Sold properties with date and price; columns of equal length, ordered by date and sale id."""

    properties: Properties
    sale_id: TextArray
    sale_date: NDArray[np.datetime64]
    price_usd: FloatArray

    def __len__(self) -> int:
        return len(self.sale_id)

    def take(self, rows: IntArray | BoolArray) -> "Sales":
        """The sales at these positions, or where the mask holds."""
        return Sales(
            properties=self.properties.take(rows),
            sale_id=self.sale_id[rows],
            sale_date=self.sale_date[rows],
            price_usd=self.price_usd[rows],
        )


def to_sales(frame: pl.DataFrame, use_codes: UseCodes, attributes: Attributes = NO_ATTRIBUTES) -> Sales:
    """Screened sales with the characteristics of what was sold, as `appraisal.sale_screening` leaves them.

    The frame has the columns of attributes as `Attributes.typed` makes them.
    """
    return Sales(
        properties=attributes.onto(properties(frame, use_codes=use_codes), frame),
        sale_id=np.array(frame["sale_id"].to_list(), dtype=object),
        sale_date=frame["sale_date"].to_numpy().astype("datetime64[D]"),
        price_usd=frame["sale_price_usd"].to_numpy().astype(float),
    )


@dataclass(frozen=True, kw_only=True)
class TrainingSales(Sales):
    """Sales of one kind of property, none dated after `valuation_date`; made by `learnable_sales` only.

    `log_time_adjustment` added to a log price carries it from its sale date to the valuation date.
    """

    valuation_date: date
    log_time_adjustment: FloatArray

    @property
    def log_price(self) -> FloatArray:
        """Log price at the valuation date."""
        adjusted: FloatArray = np.log(self.price_usd) + self.log_time_adjustment
        return adjusted

    @property
    def day(self) -> FloatArray:
        """Days before the valuation date, as a number not above 0."""
        days = self.sale_date - np.datetime64(self.valuation_date, "D")
        return days.astype("timedelta64[D]").astype(float)

    def take(self, rows: IntArray | BoolArray) -> "TrainingSales":
        """The sales at these positions, or where the mask holds."""
        return TrainingSales(
            properties=self.properties.take(rows),
            sale_id=self.sale_id[rows],
            sale_date=self.sale_date[rows],
            price_usd=self.price_usd[rows],
            valuation_date=self.valuation_date,
            log_time_adjustment=self.log_time_adjustment[rows],
        )
