"""Brings the operational database up to date, and refuses to work on one that is not."""

from pathlib import Path
from typing import Any

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg import sql

from chassis.errors import PermanentError
from chassis.run import service_names

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"
_NEW_ROLE = ("CREATE ROLE {role} NOLOGIN",)
_RUN_JOBS = (
    "GRANT terrafusion_reader TO {role}",
    "GRANT {role} TO CURRENT_USER",
    "GRANT SELECT, UPDATE ON chassis.job TO {role}",
    "GRANT SELECT, INSERT, DELETE ON chassis.outbox, chassis.inbox TO {role}",
)


def alembic_config(url: str) -> Config:
    """Alembic's configuration for a database URL of any of the usual spellings."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("sqlalchemy.url", sqlalchemy_url(url).replace("%", "%%"))
    return config


def sqlalchemy_url(url: str) -> str:
    """The URL for SQLAlchemy's synchronous driver."""
    return "postgresql+psycopg://" + url.split("://", 1)[1]


def upgrade(url: str, revision: str = "head") -> None:
    """Apply what is missing; safe to run again."""
    command.upgrade(alembic_config(url), revision)
    if revision == "head":
        let_services_in(url)


def let_services_in(url: str) -> None:
    """Give each service that came after the first migration its role: it reads published views and runs jobs."""
    with psycopg.connect("postgresql://" + url.split("://", 1)[1]) as connection:
        for role in (f"terrafusion_{service}" for service in service_names()):
            exists, may_run = connection.execute(
                "SELECT count(*) > 0, coalesce(bool_or(has_table_privilege(oid, 'chassis.job', 'UPDATE')), false)"
                " FROM pg_roles WHERE rolname = %s",
                (role,),
            ).fetchone() or (False, False)
            for statement in (() if exists else _NEW_ROLE) + (() if may_run else _RUN_JOBS):
                connection.execute(sql.SQL(statement).format(role=sql.Identifier(role)))


def head_revision() -> str | None:
    """The newest revision that this code knows."""
    return ScriptDirectory(str(MIGRATIONS)).get_current_head()


async def require_current(connection: Any) -> None:
    """Refuse a database whose schema is not the one that this code was written for.

    Raises:
        PermanentError: `schema_outdated`.
    """
    exists = await connection.fetchval("SELECT to_regclass('public.alembic_version') IS NOT NULL")
    found = await connection.fetchval("SELECT version_num FROM public.alembic_version") if exists else None
    if found != head_revision():
        raise PermanentError(
            "schema_outdated",
            f"the database is at revision {found}, this code needs {head_revision()}: run `terrafusion migrate`",
        )
