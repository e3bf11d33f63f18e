"""Refusals of the appraisal mathematics, each with a stable code."""

from typing import ClassVar


class AppraisalError(ValueError):
    """Input that the mathematics refuses; `code` is stable, the message is for a person."""

    code: ClassVar[str] = "appraisal_input_refused"


class TooFewSalesError(AppraisalError):
    """Fewer sales than the calculation can be made from."""

    code = "too_few_sales"


class LengthMismatchError(AppraisalError):
    """Columns that should describe the same sales differ in length or shape."""

    code = "length_mismatch"


class ValueNotPositiveError(AppraisalError):
    """A price, estimate or ratio is missing, infinite, zero or negative; `row` counts from 0."""

    code = "value_not_positive"

    def __init__(self, name: str, row: int, value: float) -> None:
        super().__init__(f"{name} must be a number above zero; row {row + 1} has {value}")
        self.name = name
        self.row = row
        self.value = value


class NotNumericError(AppraisalError):
    """A column holds something that is no number."""

    code = "not_numeric"


class ArgumentOutOfRangeError(AppraisalError):
    """A setting of the calculation (confidence, resamples, multiplier) is outside its range."""

    code = "argument_out_of_range"


class TrendNotIdentifiedError(AppraisalError):
    """The controls explain the sale month completely, so a time trend cannot be told from them."""

    code = "trend_not_identified"
