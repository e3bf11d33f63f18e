"""Which role may do what. Every grant is for a county; `*` stands for every county."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from contracts.subjects import JobKind

EVERY_COUNTY = "*"
PARCELS_READ = "parcels:read"
PII_READ = "pii:read"
USERS_ADMIN = "users:admin"
UPLOADS_APPROVE = "uploads:approve"
AUDIT_READ = "audit:read"
SYNC_APPROVE = "sync:approve"
VALUATION_APPROVE = "valuation:approve"
VALUATION_OVERRIDE = "valuation:override"

#: what a `sync` job may do only by a person who answers for the record
_DECISIONS = frozenset({"approve", "reject", "resolve", "undo"})
#: what a `valuation` job may do only by a person who answers for the roll
_VALUE_DECISIONS = {
    "approve": VALUATION_APPROVE,
    "reject": VALUATION_APPROVE,
    "post": VALUATION_APPROVE,
    "override": VALUATION_OVERRIDE,
    "withdraw": VALUATION_OVERRIDE,
    "decide_sale": VALUATION_OVERRIDE,
}


def run(kind: JobKind | str) -> str:
    """The permission to ask for, cancel and retry jobs of a kind."""
    return f"{kind}:run"


def read(kind: JobKind | str) -> str:
    """The permission to see jobs of a kind and what they made."""
    return f"{kind}:read"


def ask(kind: JobKind | str, parameters: Mapping[str, Any]) -> str:
    """The permission to ask for a job: one that decides what the record or the roll shall hold takes more."""
    if kind == JobKind.SYNC and parameters.get("mode") in _DECISIONS:
        return SYNC_APPROVE
    if kind == JobKind.VALUATION:
        return _VALUE_DECISIONS.get(str(parameters.get("mode")), run(kind))
    return run(kind)


def _both(*kinds: JobKind) -> frozenset[str]:
    return frozenset(permission for kind in kinds for permission in (run(kind), read(kind)))


_APPROVES = frozenset({SYNC_APPROVE, VALUATION_APPROVE, VALUATION_OVERRIDE})
EVERYTHING = _both(*JobKind) | _APPROVES | {PARCELS_READ, PII_READ, USERS_ADMIN, UPLOADS_APPROVE, AUDIT_READ}

#: a system administrator has this in every county, whichever county's file names the role
PERMISSIONS: Mapping[str, frozenset[str]] = {
    "system_admin": EVERYTHING,
    "county_admin": EVERYTHING,
    "assessor": _both(*JobKind) | _APPROVES | {PARCELS_READ},
    "analyst": _both(JobKind.VALUATION, JobKind.MARKET, JobKind.REPORTING) | {PARCELS_READ},
    "vendor": _both(JobKind.GIS_EXPORT) | {PARCELS_READ},
}


@dataclass(frozen=True, slots=True)
class Grant:
    """What a user has in one county."""

    roles: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()

    @property
    def effective(self) -> frozenset[str]:
        """The permissions of the roles and those given one by one."""
        return _effective(self.roles, self.permissions)


@lru_cache(maxsize=1024)
def _effective(roles: tuple[str, ...], permissions: tuple[str, ...]) -> frozenset[str]:
    return frozenset(permissions).union(*(PERMISSIONS.get(role, frozenset()) for role in roles))


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling, as the token says."""

    username: str
    session: str
    grants: Mapping[str, Grant] = field(default_factory=dict)

    def permissions(self, county: str) -> frozenset[str]:
        """What the caller may do in a county; nothing in one that no grant covers."""
        found = [self.grants[name].effective for name in (county, EVERY_COUNTY) if name in self.grants]
        return frozenset[str]().union(*found)

    def covers(self, county: str) -> bool:
        """Whether any grant is for the county."""
        return county in self.grants or EVERY_COUNTY in self.grants

    def may(self, permission: str, county: str) -> bool:
        """Whether the caller may do something in a county."""
        return any(permission in self.grants[name].effective for name in (county, EVERY_COUNTY) if name in self.grants)

    @property
    def roles(self) -> list[str]:
        """Every role that the caller has anywhere."""
        return sorted({role for grant in self.grants.values() for role in grant.roles})


def combine(entries: Iterable[tuple[str, Grant]]) -> dict[str, Grant]:
    """All grants of one user by county; a system administrator's is for every county."""
    combined: dict[str, Grant] = {}
    for county, grant in entries:
        place = EVERY_COUNTY if "system_admin" in grant.roles else county
        known = combined.get(place, Grant())
        combined[place] = Grant(
            tuple(sorted({*known.roles, *grant.roles})), tuple(sorted({*known.permissions, *grant.permissions}))
        )
    return combined
