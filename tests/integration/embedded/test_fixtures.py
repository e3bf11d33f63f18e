from pathlib import Path

import psycopg

from chassis.embedded.nats_server import EmbeddedNats


def test_each_module_gets_a_migrated_database(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT count(*) FROM alembic_version").fetchone()
    assert row == (1,)


def test_the_session_shares_one_nats_server(nats_server: EmbeddedNats) -> None:
    assert nats_server.is_running()
    assert Path(nats_server.store_dir, "jetstream").is_dir()
