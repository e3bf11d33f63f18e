"""Settings by environment; one class, which a service extends where it has more to ask for."""

from datetime import timedelta
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

REPOSITORY = Path(__file__).resolve().parent.parent


class ServiceSettings(BaseSettings):
    """What every service reads from the environment."""

    model_config = SettingsConfigDict(env_prefix="TERRAFUSION_", env_file=".env", extra="ignore")

    operational_db_url: SecretStr = Field(
        default=SecretStr("postgresql://127.0.0.1:5432/terrafusion"),
        title="the operational PostgreSQL database",
    )
    nats_url: str = Field(default="nats://127.0.0.1:4222", title="the message bus")
    secret_key: SecretStr = Field(default=SecretStr(""), title="signs tokens; 32 characters or more")
    storage_url: str = Field(default="file://var/storage", title="artifacts: a folder, s3:// or az:// URL")
    counties_dir: Path = Field(default=REPOSITORY / "deploy" / "counties", title="the county folders")
    http_host: str = Field(default="127.0.0.1", title="the address that health, metrics and routes listen on")
    http_port: int = Field(default=5000, ge=0, le=65535, title="the port of health, metrics and routes")
    log_level: str = Field(default="INFO", title="the least severe log line that is written")
    database_pool_size: int = Field(default=8, ge=2, title="connections to PostgreSQL per process")
    job_workers: int = Field(default=2, ge=1, title="jobs that one process runs at the same time")
    job_attempts: int = Field(default=5, ge=1, title="starts of a job before it fails for good")
    job_lease: timedelta = Field(
        default=timedelta(seconds=30), title="silence after which another worker may take a job over"
    )
    job_retry_delay: timedelta = Field(
        default=timedelta(seconds=2), title="wait before the second start; doubles with every further one"
    )
    transaction_silence: timedelta = Field(
        default=timedelta(minutes=15),
        gt=timedelta(0),
        title="time that a process may stand still within a transaction before it loses it, and its locks",
    )
    shutdown_wait: timedelta = Field(default=timedelta(seconds=15), title="time that running jobs get to end")


class SettingsError(ValueError):
    """A setting is missing or makes no sense; says which."""
