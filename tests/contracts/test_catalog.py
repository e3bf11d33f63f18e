import pytest

from contracts.catalog import DATASETS, CatalogField, Dataset, DataType


def field(name: str, short_name: str) -> CatalogField:
    return CatalogField(name=name, label=name, data_type=DataType.TEXT, short_name=short_name)


def test_only_owners_hold_personal_data() -> None:
    personal = {(name, one.name) for name, dataset in DATASETS.items() for one in dataset.fields if one.personal_data}
    assert personal == {("owners", "owner_id"), ("owners", "name"), ("owners", "mailing_address")}


def test_money_is_in_dollars_and_areas_in_square_feet() -> None:
    for dataset in DATASETS.values():
        for one in dataset.fields:
            assert (one.data_type is DataType.MONEY) == (one.unit == "USD") == one.name.endswith("_usd")
            assert one.name.endswith("_sqft") == (one.unit == "ft2")


@pytest.mark.parametrize(
    "fields",
    [
        (field("a", "A"), field("a", "B")),
        (field("a", "A"), field("b", "A")),
        (field("b", "B"),),
    ],
)
def test_inconsistent_datasets_are_refused(fields: tuple[CatalogField, ...]) -> None:
    with pytest.raises(ValueError, match="dataset x"):
        Dataset(name="x", label="X", view="ingest.x_v1", key=("a",), fields=fields)


@pytest.mark.parametrize("short_name", ["TOO_LONG_NAME", "lower", "1ST", "É", ""])
def test_short_names_fit_dbase(short_name: str) -> None:
    with pytest.raises(ValueError, match="short_name"):
        field("a", short_name)
