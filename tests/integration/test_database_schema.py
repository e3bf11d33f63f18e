from chassis.settings import REPOSITORY
from clients.sdk.generate_contracts import DATABASE, database_sql


def test_the_schema_that_is_checked_in_is_what_the_migrations_make() -> None:
    path = REPOSITORY / DATABASE
    assert path.exists(), f"{DATABASE} is missing: run `make contracts`"
    assert path.read_text() == database_sql(), f"{DATABASE} is not what the migrations make: run `make contracts`"
