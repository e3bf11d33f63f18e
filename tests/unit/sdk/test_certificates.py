"""A downloaded certificate is checked without platform and network, and nobody is fooled by the key that it names."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from chassis.signing import Signer
from clients.sdk import certificates
from clients.sdk.cli import app

SIGNER = Signer("a secret of more than thirty-two characters")
runner = CliRunner()


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TERRAFUSION_SECRET_KEY", raising=False)
    monkeypatch.setattr(certificates, "UP_FILE", tmp_path / "up.json")


def document(*, holds: bool = True) -> dict[str, Any]:
    line = {"name": "rows", "source": 1000, "landed": 1000 if holds else 999, "holds": holds,
            "note": "" if holds else "landed, quarantined and left out make: 1 too few"}  # fmt: skip
    unproven = {"name": "ranges", "source": None, "landed": None, "holds": None, "note": "nobody knows"}
    lots = {"reader": "hash_diff", "lines": [line, unproven], "differences": [{"key": "7/1", "what": "missing"}]}
    return {"county": "benton", "pair": "benton_pacs", "sequence": 3, "depth": "complete", "issued_at": "2026",
            "holds": holds, "failing": [], "tables": {"lot": lots}, "lines": [],
            "public_key": SIGNER.public_key}  # fmt: skip


def saved(path: Path, found: dict[str, Any], *, by: Signer = SIGNER) -> Path:
    path = path / "certificate.json"
    path.write_text(json.dumps({"document": found, "signature": by.sign(found), "holds": True}))
    return path


def check(path: Path, *more: str) -> Any:
    return runner.invoke(app, ["sync", "certificate", "--verify", str(path), *more])


@pytest.mark.parametrize("holds", [True, False])
def test_a_file_is_checked_and_shown(tmp_path: Path, holds: bool) -> None:  # noqa: FBT001
    outcome = check(saved(tmp_path, document(holds=holds)), "--key", SIGNER.public_key)
    assert outcome.exit_code == (0 if holds else 1), outcome.output
    assert ("DOES NOT HOLD" in outcome.output) == (not holds)
    assert ("1 too few" in outcome.output) == (not holds)
    assert "lot 7/1: missing" in outcome.output
    assert "signed by" in outcome.output


def test_the_secret_of_this_machine_is_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, document())
    monkeypatch.setenv("TERRAFUSION_SECRET_KEY", "a secret of more than thirty-two characters")
    assert check(path).exit_code == 0
    assert runner.invoke(app, ["sync", "certificate", "--public-key"]).output.strip() == SIGNER.public_key
    monkeypatch.delenv("TERRAFUSION_SECRET_KEY")
    (tmp_path / "secret_key").write_text("another secret of more than thirty-two characters")
    assert check(path).exit_code == 1


def test_a_changed_document_is_not_signed(tmp_path: Path) -> None:
    path = saved(tmp_path, document(holds=False))
    path.write_text(path.read_text().replace('"holds": false', '"holds": true'))
    outcome = check(path, "--key", SIGNER.public_key)
    assert outcome.exit_code == 1
    assert "NOT SIGNED by this key" in outcome.output
    assert json.loads(check(path, "--key", SIGNER.public_key, "--json").output)["is_signed"] is False


def test_the_key_that_a_document_names_is_not_believed(tmp_path: Path) -> None:
    forger = Signer("the secret of somebody who makes certificates up")
    path = saved(tmp_path, {**document(), "public_key": forger.public_key}, by=forger)
    assert check(path, "--key", SIGNER.public_key).exit_code == 1
    outcome = check(path)
    assert outcome.exit_code == 1
    assert "--key" in outcome.stderr


@pytest.mark.parametrize("text", ["", "[]", '{"document": 1, "signature": ""}', '{"document": {}}', "\x00"])
def test_what_is_no_certificate_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "certificate.json"
    path.write_text(text)
    outcome = check(path, "--key", SIGNER.public_key)
    assert outcome.exit_code == 1
    assert isinstance(outcome.exception, SystemExit)


@pytest.mark.parametrize("arguments", [[], ["--public-key", "some-id"], ["some-id", "--verify", "a.json"]])
def test_one_thing_is_asked_for(arguments: list[str]) -> None:
    outcome = runner.invoke(app, ["sync", "certificate", *arguments])
    assert outcome.exit_code == 1
    assert "name one of" in outcome.stderr
