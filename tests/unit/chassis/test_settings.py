"""Settings come from the environment."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from chassis.settings import ServiceSettings


@pytest.fixture(autouse=True)
def no_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERRAFUSION_OPERATIONAL_DB_URL", "postgresql://somebody:secret@db/x")
    monkeypatch.setenv("TERRAFUSION_JOB_LEASE", "PT5S")
    monkeypatch.setenv("TERRAFUSION_JOB_WORKERS", "4")
    settings = ServiceSettings()
    assert settings.operational_db_url.get_secret_value().endswith("@db/x")
    assert (settings.job_lease, settings.job_workers) == (timedelta(seconds=5), 4)


def test_secrets_do_not_show() -> None:
    settings = ServiceSettings(operational_db_url="postgresql://somebody:hush@db/x", secret_key="hush")
    assert "hush" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [("JOB_WORKERS", "0"), ("JOB_LEASE", "soon"), ("HTTP_PORT", "70000"), ("DATABASE_POOL_SIZE", "1")],
)
def test_nonsense_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"TERRAFUSION_{name}", value)
    with pytest.raises(ValidationError):
        ServiceSettings()


def test_every_setting_says_what_it_is() -> None:
    assert all(field.title for field in ServiceSettings.model_fields.values())
