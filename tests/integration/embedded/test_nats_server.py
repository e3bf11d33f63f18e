import json
import socket
import stat
import urllib.request
from pathlib import Path

import nats
import nats.errors
import psutil
import pytest

from chassis.embedded.errors import EmbeddedServerError
from chassis.embedded.nats_server import MAX_PAYLOAD_BYTES, EmbeddedNats
from chassis.embedded.ports import free_port
from tests.support.processes import is_gone


async def _store(server: EmbeddedNats, body: bytes) -> None:
    client = await nats.connect(server.url)
    stream = client.jetstream()
    await stream.add_stream(name="KEPT", subjects=["kept"])
    await stream.publish("kept", body)
    await client.close()


async def _stored(server: EmbeddedNats) -> bytes | None:
    client = await nats.connect(server.url)
    message = await client.jetstream().get_last_msg("KEPT", "kept")
    await client.close()
    return message.data


def _refusal(server: EmbeddedNats) -> EmbeddedServerError:
    with pytest.raises(EmbeddedServerError) as caught:
        server.start()
    assert not server.is_running()
    return caught.value


async def test_streams_outlive_a_stop_and_a_kill(folder: Path) -> None:
    server = EmbeddedNats(folder / "nats")
    server.start()
    url = server.url
    await _store(server, b"still here")
    server.stop()
    server.stop()
    server.start()
    assert server.url == url
    assert await _stored(server) == b"still here"
    pid = server.pid
    server.kill()
    assert is_gone(pid)
    server.start()
    assert await _stored(server) == b"still here"
    server.stop()
    with EmbeddedNats(folder / "nats") as another:
        assert await _stored(another) == b"still here"


async def test_a_damaged_stream_is_said_at_once(folder: Path) -> None:
    with EmbeddedNats(folder / "nats") as server:
        await _store(server, b"x")
    for path in (folder / "nats").rglob("streams/*/meta.inf"):
        path.write_text("garbage")
    refusal = _refusal(EmbeddedNats(folder / "nats"))
    assert refusal.code == "data_dir_damaged"
    assert "could not be recovered" in refusal.message


async def test_only_the_password_lets_in_and_only_its_owner_reads_it(folder: Path) -> None:
    with EmbeddedNats(folder / "nats") as server:
        with pytest.raises(nats.errors.Error, match="Authorization Violation"):
            await nats.connect(f"nats://127.0.0.1:{server.port}", allow_reconnect=False, max_reconnect_attempts=1)
        for name in ("password", "nats-server.conf", "server.log"):
            assert stat.S_IMODE((folder / "nats" / name).stat().st_mode) == 0o600
        assert stat.S_IMODE((folder / "nats").stat().st_mode) == 0o700


def test_it_listens_on_the_loopback_address_only(folder: Path) -> None:
    with EmbeddedNats(folder / "nats") as server:
        listening = {c.laddr for c in psutil.Process(server.pid).net_connections("tcp") if c.status == "LISTEN"}
        assert listening == {("127.0.0.1", server.port), ("127.0.0.1", server.monitoring_port)}


def test_its_configuration_is_in_force(folder: Path) -> None:
    with EmbeddedNats(folder / 'odd "näme"', settings={"sync_interval": "always"}) as server:
        with urllib.request.urlopen(f"{server.monitoring_url}/varz") as answer:
            state = json.load(answer)
        assert state["max_payload"] == MAX_PAYLOAD_BYTES == 8 * 1024 * 1024
        assert state["server_name"] == f"terrafusion-{server.port}"
        assert state["jetstream"]["config"]["sync_always"] is True
        assert state["jetstream"]["config"]["store_dir"] == str(folder / 'odd "näme"' / "jetstream")


@pytest.mark.parametrize("which", ["port", "monitoring_port"])
@pytest.mark.parametrize("looked", [True, False], ids=["before the start", "while starting"])
def test_a_taken_port_is_named(folder: Path, which: str, *, looked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not looked:
        monkeypatch.setattr("chassis.embedded.nats_server.require_free", lambda *_, **__: None)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        ports = {"port": free_port(), "monitoring_port": free_port(), which: port}
        refusal = _refusal(EmbeddedNats(folder / "nats", **ports))
    assert refusal.code == "port_taken"
    assert str(port) in refusal.message


def test_chosen_ports_that_somebody_takes_first_are_replaced(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with EmbeddedNats(folder / "first") as first:
        good = (free_port(), free_port())
        offers = iter([free_port(), first.monitoring_port, first.port, free_port(), *good])
        monkeypatch.setattr("chassis.embedded.nats_server.free_port", lambda: next(offers))
        with EmbeddedNats(folder / "second") as second:
            assert (second.port, second.monitoring_port) == good
            assert second.is_running()
            assert first.is_running()


def test_a_folder_in_use_is_refused_and_its_server_lives_on(folder: Path) -> None:
    with EmbeddedNats(folder / "nats") as server:
        assert _refusal(EmbeddedNats(folder / "nats")).code == "data_dir_in_use"
        assert server.is_running()


def test_a_setting_that_the_server_does_not_know_is_refused_with_its_words(folder: Path) -> None:
    refusal = _refusal(EmbeddedNats(folder / "nats", settings={"sync_interval": "sometimes"}))
    assert refusal.code == "start_failed"
    assert "sometimes" in refusal.message
