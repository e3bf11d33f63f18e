"""The rules that send a source row to quarantine instead of into the canonical record."""

from enum import StrEnum


class QuarantineRule(StrEnum):
    """Why one source row was held back; the value is the stable code on the wire."""

    YEAR_BUILT_OUT_OF_RANGE = "year_built_out_of_range"
    """The actual year built is earlier than any building here or later than next year."""

    LIVING_AREA_NEGATIVE = "living_area_negative"
    """A building's area is below zero square feet."""

    LAND_AREA_NEGATIVE = "land_area_negative"
    """A land segment's size is below zero."""

    VALUE_NEGATIVE = "value_negative"
    """A market, assessed or component value is below zero dollars."""

    SALE_PRICE_NEGATIVE = "sale_price_negative"
    """A sale price is below zero dollars."""

    SALE_DATE_IN_FUTURE = "sale_date_in_future"
    """A sale is dated after the day it was read."""

    SALE_DATE_MISSING = "sale_date_missing"
    """A sale has a price and no date."""

    NEIGHBORHOOD_UNKNOWN = "neighborhood_unknown"
    """The neighborhood code is not in the county's table of neighborhoods for that year."""

    USE_CODE_UNKNOWN = "use_code_unknown"
    """The property use code is not in the county's table of use codes."""

    PARCEL_NUMBER_MISSING = "parcel_number_missing"
    """A real property has no parcel number, or a blank one."""

    GEOMETRY_INVALID = "geometry_invalid"
    """A polygon is not valid by the OGC rules, for instance because its ring crosses itself."""

    SALE_PARCEL_UNKNOWN = "sale_parcel_unknown"
    """A sale is tied to a property that is not in the source."""

    PERCENT_OWNERSHIP_OUT_OF_RANGE = "percent_ownership_out_of_range"
    """An owner's share is below 0 or above 100 percent."""


class ReadingFault(StrEnum):
    """Why a row could not even be judged by the rules; such a row is quarantined as well."""

    VALUE_UNREADABLE = "value_unreadable"
    """A value is not of the type that the mapping declares, such as letters in a number, or a NUL within a text."""

    KEY_MISSING = "key_missing"
    """A part of the row's key is null."""

    KEY_REPEATED = "key_repeated"
    """Several rows that differ have the same key; nobody can say which is right, so none is taken."""

    ROW_UNREADABLE = "row_unreadable"
    """The source or its driver cannot give the row; what was read of it before stands."""

    PARCEL_UNMATCHED = "parcel_unmatched"
    """A contributing system's row is of a parcel that is not in the record; it counts once the parcel is there."""
