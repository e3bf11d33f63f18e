import os
import signal
import socket
import stat
from pathlib import Path

import psutil
import psycopg
import pytest

from chassis.embedded.cluster import orphans
from chassis.embedded.errors import EmbeddedServerError
from chassis.embedded.ports import free_port
from chassis.embedded.postgres import EmbeddedPostgres
from tests.support.processes import is_gone, wait_until
from tests.support.servers import FAST


def _ask(url: str, statement: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return row[0]


def _keep_a_row(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 'still here' AS note")


def _refusal(server: EmbeddedPostgres) -> EmbeddedServerError:
    with pytest.raises(EmbeddedServerError) as caught:
        server.start()
    assert not server.is_running()
    return caught.value


def test_a_new_folder_becomes_a_server_with_utf8_and_utc(folder: Path) -> None:
    with EmbeddedPostgres(folder / "pg", settings=FAST) as server:
        assert _ask(server.url, "SELECT current_database()") == "terrafusion"
        assert _ask(server.url, "SELECT current_user") == "terrafusion"
        assert _ask(server.url, "SHOW server_encoding") == "UTF8"
        assert _ask(server.url, "SELECT datlocale FROM pg_database WHERE datname = 'terrafusion'") == "C.UTF-8"
        assert _ask(server.url, "SHOW timezone") == "UTC"
        assert _ask(server.url, "SHOW fsync") == "off"


def test_only_the_password_lets_in_and_only_its_owner_reads_it(folder: Path) -> None:
    with EmbeddedPostgres(folder / "pg", settings=FAST) as server:
        without = f"postgresql://terrafusion@127.0.0.1:{server.port}/terrafusion"
        with pytest.raises(psycopg.OperationalError, match="no password supplied"):
            psycopg.connect(without)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(without, password="wrong")
        password = folder / "pg" / "password"
        assert stat.S_IMODE(password.stat().st_mode) == 0o600
        assert password.stat().st_uid == os.geteuid()
        assert stat.S_IMODE((folder / "pg" / "cluster").stat().st_mode) == 0o700
        assert password.read_text() not in " ".join(psutil.Process(server.pid).cmdline())


def test_it_listens_on_the_loopback_address_only(folder: Path) -> None:
    with EmbeddedPostgres(folder / "pg", settings=FAST) as server:
        listening = [c.laddr for c in psutil.Process(server.pid).net_connections("all") if c.status == "LISTEN"]
        assert listening == [("127.0.0.1", server.port)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes to another account")
def test_root_runs_it_under_an_unprivileged_account(folder: Path) -> None:
    with EmbeddedPostgres(folder / "pg", settings=FAST) as server:
        process = psutil.Process(server.pid)
        assert 0 not in (*process.uids(), *process.gids())
        assert Path(f"/proc/{server.pid}/status").read_text().count("Groups:\t \n") == 1
        assert (folder / "pg" / "cluster").stat().st_uid == process.uids().real


def test_it_starts_again_with_its_data_and_its_url(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "pg", settings=FAST)
    server.start()
    url = server.url
    _keep_a_row(url)
    server.stop()
    server.stop()
    server.start()
    assert server.url == url
    assert _ask(url, "SELECT note FROM kept") == "still here"
    server.stop()
    with EmbeddedPostgres(folder / "pg", settings=FAST) as another:
        assert _ask(another.url, "SELECT note FROM kept") == "still here"


def test_the_callers_pg_variables_do_not_reach_the_server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGDATA", "/nowhere")
    monkeypatch.setenv("PGDATESTYLE", "German")
    with EmbeddedPostgres(folder / "pg", settings=FAST) as server:
        assert psutil.Process(server.pid).environ().keys() == {"PATH", "LC_ALL", "TZ"}


def test_stopping_disconnects_clients_and_leaves_a_clean_cluster(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "pg", settings=FAST)
    server.start()
    client = psycopg.connect(server.url)
    server.stop()
    with pytest.raises(psycopg.OperationalError):
        client.execute("SELECT 1")
    assert "database system is shut down" in server.log_path.read_text()
    assert not (folder / "pg" / "cluster" / "postmaster.pid").exists()


def test_a_killed_server_loses_nothing_committed(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "pg")
    server.start()
    url, pid = server.url, server.pid
    _keep_a_row(url)
    members = [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    server.kill()
    wait_until(lambda: all(is_gone(member) for member in members), "the killed processes are gone")
    assert (folder / "pg" / "cluster" / "postmaster.pid").exists()
    server.start()
    assert server.url == url
    assert _ask(url, "SELECT note FROM kept") == "still here"
    server.stop()


def test_a_busy_backend_that_outlives_its_postmaster_is_ended_by_the_next_start(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "pg", settings=FAST)
    server.start()
    client = psycopg.connect(server.url)
    backend = client.info.backend_pid
    # A stopped process notices nothing, as one deep in a computation does not.
    os.kill(backend, signal.SIGSTOP)
    os.kill(server.pid, signal.SIGKILL)
    wait_until(lambda: not server.is_running(), "the postmaster is dead")
    assert [process.pid for process in orphans(folder / "pg" / "cluster")].count(backend) == 1
    server.start()
    wait_until(lambda: is_gone(backend), "the backend is gone")
    client.close()
    assert _ask(server.url, "SELECT 1") == 1
    server.stop()


def test_a_stale_pid_file_with_a_reused_number_does_no_harm(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "pg", settings=FAST)
    server.start()
    server.kill()
    pid_file = folder / "pg" / "cluster" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    server.start()
    assert _ask(server.url, "SELECT 1") == 1
    server.stop()


def test_a_taken_port_is_named(folder: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        refusal = _refusal(EmbeddedPostgres(folder / "pg", port=port, settings=FAST))
    assert refusal.code == "port_taken"
    assert str(port) in refusal.message
    assert not (folder / "pg").exists()


def test_a_port_that_is_taken_between_the_look_and_the_start_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.embedded.postgres.require_free", lambda *_, **__: None)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        refusal = _refusal(EmbeddedPostgres(folder / "pg", port=port, settings=FAST))
    assert refusal.code == "port_taken"
    assert str(port) in refusal.message


def test_a_chosen_port_that_somebody_takes_first_is_replaced(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken, good = holder.getsockname()[1], free_port()
        offers = iter([taken, good])
        monkeypatch.setattr("chassis.embedded.postgres.free_port", lambda: next(offers))
        with EmbeddedPostgres(folder / "pg", settings=FAST) as server:
            assert server.port == good
            assert _ask(server.url, "SELECT 1") == 1


def test_a_folder_in_use_is_refused_and_its_server_lives_on(folder: Path) -> None:
    with EmbeddedPostgres(folder / "pg", settings=FAST) as server:
        refusal = _refusal(EmbeddedPostgres(folder / "pg", settings=FAST))
        assert refusal.code == "data_dir_in_use"
        assert str(server.pid) in refusal.message
        assert _ask(server.url, "SELECT 1") == 1


@pytest.mark.parametrize(
    ("file", "content", "code"),
    [
        ("PG_VERSION", b"\x00\xffgarbage", "data_dir_damaged"),
        ("PG_VERSION", b"", "data_dir_damaged"),
        ("PG_VERSION", b"9\n", "data_dir_version"),
        ("global/pg_control", b"\x01" * 100, "data_dir_damaged"),
        ("global/pg_control", b"\x01" * 8192, "data_dir_damaged"),
        ("global/pg_filenode.map", b"\x01" * 20, "data_dir_damaged"),
        ("postgresql.conf", b"nonsense = = =\n", "start_failed"),
    ],
)
def test_a_damaged_folder_is_named_and_left_as_it_is(folder: Path, file: str, content: bytes, code: str) -> None:
    server = EmbeddedPostgres(folder / "pg", settings=FAST)
    server.start()
    server.stop()
    damaged = folder / "pg" / "cluster" / file
    damaged.write_bytes(content)
    refusal = _refusal(server)
    assert refusal.code == code
    assert str(folder / "pg") in refusal.message or "postgresql.conf" in refusal.message
    assert damaged.read_bytes() == content


def test_a_lost_password_is_named(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "pg", settings=FAST)
    server.start()
    server.stop()
    (folder / "pg" / "password").unlink()
    refusal = _refusal(server)
    assert refusal.code == "data_dir_damaged"
    assert "password" in refusal.message


def test_a_changed_password_file_is_refused_with_the_servers_words(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "pg", settings=FAST)
    server.start()
    server.stop()
    (folder / "pg" / "password").write_text("another")
    refusal = _refusal(server)
    assert refusal.code == "start_failed"
    assert "password authentication failed" in refusal.message


def test_an_unknown_setting_is_refused_with_the_servers_words(folder: Path) -> None:
    refusal = _refusal(EmbeddedPostgres(folder / "pg", settings={"no_such_setting": "1"}))
    assert refusal.code == "start_failed"
    assert "no_such_setting" in refusal.message


def test_a_cluster_that_was_half_made_is_made_anew(folder: Path) -> None:
    half = folder / "pg" / "cluster.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(folder / "pg", settings=FAST) as server:
        assert _ask(server.url, "SELECT 1") == 1
    assert not half.exists()


def test_creating_a_database_twice_gives_the_same_one(folder: Path) -> None:
    with EmbeddedPostgres(folder / "pg", settings=FAST) as server:
        first = server.create_database('odd "name"')
        _keep_a_row(first)
        assert server.create_database('odd "name"') == first
        assert _ask(first, "SELECT note FROM kept") == "still here"


def test_values_of_failing_statements_stay_out_of_the_log(folder: Path) -> None:
    with EmbeddedPostgres(folder / "pg", settings=FAST) as server:
        with psycopg.connect(server.url) as connection, pytest.raises(psycopg.errors.DataError):
            connection.execute("SELECT 'Jane Q Owner'::integer")
        assert "Jane Q Owner" not in server.log_path.read_text()
        assert stat.S_IMODE(server.log_path.stat().st_mode) == 0o600


def test_what_is_known_only_after_the_start_says_so(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "pg")
    for name in ("url", "port", "pid"):
        with pytest.raises(EmbeddedServerError) as caught:
            getattr(server, name)
        assert caught.value.code == "not_started"
