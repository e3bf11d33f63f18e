import pytest

from contracts.subjects import JobKind
from services.gateway.domain import permissions
from services.gateway.domain.permissions import Caller, Grant, combine, read, run


def caller(*entries: tuple[str, Grant]) -> Caller:
    return Caller("someone", "session", combine(entries))


def test_a_system_administrator_may_do_everything_everywhere() -> None:
    someone = caller(("benton", Grant(("system_admin",))))
    assert someone.permissions("franklin") == permissions.EVERYTHING
    assert someone.covers("any_other")


def test_a_county_administrator_may_do_everything_in_the_county_only() -> None:
    someone = caller(("benton", Grant(("county_admin",))))
    assert someone.permissions("benton") == permissions.EVERYTHING
    assert someone.permissions("franklin") == frozenset()
    assert not someone.covers("franklin")


@pytest.mark.parametrize("kind", JobKind)
def test_an_assessor_runs_and_reads_every_kind_without_personal_data(kind: JobKind) -> None:
    someone = caller(("benton", Grant(("assessor",))))
    assert someone.may(run(kind), "benton")
    assert someone.may(read(kind), "benton")
    assert not someone.may(permissions.PII_READ, "benton")


def test_an_analyst_does_not_synchronise() -> None:
    someone = caller(("benton", Grant(("analyst",))))
    assert {kind for kind in JobKind if someone.may(run(kind), "benton")} == {"valuation", "market", "reporting"}
    assert not someone.may("sync:run", "benton")


def test_a_vendor_exports_and_reads_parcels_and_no_more() -> None:
    someone = caller(("benton", Grant(("vendor",))))
    assert someone.permissions("benton") == {"gis_export:run", "gis_export:read", "parcels:read"}


def test_single_permissions_add_to_roles_and_counties_stay_apart() -> None:
    someone = caller(
        ("benton", Grant(("vendor",), ("pii:read",))),
        ("benton", Grant(("analyst",))),
        ("franklin", Grant((), ("parcels:read",))),
    )
    assert someone.may(permissions.PII_READ, "benton")
    assert someone.may("market:run", "benton")
    assert someone.permissions("franklin") == {"parcels:read"}
    assert someone.roles == ["analyst", "vendor"]


def test_an_unknown_role_gives_nothing() -> None:
    assert caller(("benton", Grant(("emperor",)))).permissions("benton") == frozenset()


@pytest.mark.parametrize("mode", ["approve", "reject", "resolve", "undo"])
def test_deciding_what_the_record_holds_takes_more_than_running(mode: str) -> None:
    assert permissions.ask(JobKind.SYNC, {"mode": mode}) == "sync:approve"
    assert permissions.ask("sync", {"mode": mode}) == "sync:approve"
    assert permissions.ask(JobKind.MARKET, {"mode": mode}) == "market:run"


@pytest.mark.parametrize("parameters", [{}, {"mode": "full"}, {"mode": "pause"}, {"mode": "verify"}])
def test_running_takes_the_permission_to_run(parameters: dict[str, str]) -> None:
    assert permissions.ask(JobKind.SYNC, parameters) == "sync:run"


@pytest.mark.parametrize(
    ("role", "may"),
    [("system_admin", True), ("county_admin", True), ("assessor", True), ("analyst", False), ("vendor", False)],
)
@pytest.mark.parametrize("permission", ["sync:approve", "valuation:approve", "valuation:override"])
def test_who_may_decide(role: str, permission: str, may: bool) -> None:  # noqa: FBT001 a parameter of the test
    assert (permission in permissions.PERMISSIONS[role]) is may


@pytest.mark.parametrize(
    ("mode", "permission"),
    [
        ("approve", "valuation:approve"),
        ("reject", "valuation:approve"),
        ("post", "valuation:approve"),
        ("override", "valuation:override"),
        ("withdraw", "valuation:override"),
        ("decide_sale", "valuation:override"),
        ("review_sales", "valuation:run"),
        ("promote", "valuation:run"),
        ("value", "valuation:run"),
        (None, "valuation:run"),
    ],
)
def test_deciding_about_values_takes_more_than_running(mode: str | None, permission: str) -> None:
    assert permissions.ask(JobKind.VALUATION, {"mode": mode}) == permission
