"""`terrafusion sync certificate`: shows, saves and checks certificates; checking needs neither platform nor network."""

import json
import os
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.text import Text

from clients.sdk.connection import UP_FILE, gateway, refuse
from clients.sdk.output import console, listing

_COLOURS = {True: "green", False: "red", None: "yellow"}
_WORDS = {True: "holds", False: "DOES NOT HOLD", None: "not proven"}


def sync_certificate(
    certificate_id: Annotated[str | None, typer.Argument(help="The certificate's id.")] = None,
    *,
    output: Annotated[Path | None, typer.Option(help="Write the document to this file.")] = None,
    verify: Annotated[
        Path | None, typer.Option(help="Check a file that was written so: its signature, and what it says.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="The public key to check by; else the one of the platform on this machine.")
    ] = None,
    public_key: Annotated[bool, typer.Option("--public-key", help="Print the platform's public key.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Show, save or check a run's signed certificate; ends with 1 where it does not hold or is not signed."""
    if sum(wanted is not None for wanted in (certificate_id, verify)) + public_key != 1:
        refuse("name one of: a certificate's id, --verify FILE, --public-key")
    if public_key:
        print(_own_key() or refuse("set TERRAFUSION_SECRET_KEY, or run this where `terrafusion up` runs"))
        return
    if verify is not None:
        _verify(_read(verify), key, as_json=as_json)
    with gateway() as client:
        found = client.request("GET", f"/api/v1/sync/certificates/{certificate_id}")
    if output is not None:
        _write(output, found)
    elif as_json:
        console.print_json(data=found)
    else:
        _show(found)
    raise typer.Exit(0 if found["holds"] else 1)


def _verify(found: dict[str, Any], key: str | None, *, as_json: bool) -> NoReturn:
    """End with 0 where the signature is that of the key and the certificate holds."""
    from chassis.signing import fingerprint, is_signed  # noqa: PLC0415 takes long to import

    document, signature = found["document"], found["signature"]
    trusted = key or _own_key()
    if trusted is None:
        claimed = document.get("public_key")
        told = f"it claims {fingerprint(claimed)}" if claimed else "it names none"
        refuse(f"give --key, the public key that `--public-key` prints where the platform runs; {told}")
    is_good = is_signed(document, signature, public_key=trusted)
    holds = is_good and document.get("holds") is True
    if as_json:
        console.print_json(data={"is_signed": is_good, "holds": holds, "failing": document.get("failing", [])})
    else:
        if is_good:
            _show(found)
        said = f"signed by {fingerprint(trusted)}" if is_good else "NOT SIGNED by this key: changed, or another's"
        console.print(Text(said, style=_COLOURS[is_good]))
    raise typer.Exit(0 if holds else 1)


def _own_key() -> str | None:
    from chassis.signing import Signer  # noqa: PLC0415 takes long to import

    path = UP_FILE.parent / "secret_key"
    secret = os.environ.get("TERRAFUSION_SECRET_KEY") or (path.read_text() if path.exists() else "")
    signer = Signer.of(secret)
    return signer.public_key if signer else None


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        refuse(f"{path} cannot be read: {error}")
    if not isinstance(found, dict) or not {"document", "signature"} <= found.keys():
        refuse(f"{path} is no certificate: it has no document with a signature")
    if not isinstance(found["document"], dict) or not isinstance(found["signature"], str):
        refuse(f"{path} is no certificate: its document is none")
    return found


def _write(path: Path, found: dict[str, Any]) -> None:
    try:
        path.write_text(json.dumps(found, indent=1) + "\n")
    except OSError as error:
        refuse(f"{path} cannot be written: {error.strerror}")
    print(path)


def _show(found: dict[str, Any]) -> None:
    """What people want to know first: does it hold, table by table, and what does not by how much."""
    document = found["document"]
    holds = document.get("holds") is True
    head = [str(document.get(name)) for name in ("county", "pair", "sequence", "depth")]
    console.print(
        Text.assemble(
            f"{head[0]} {head[1]}, run {head[2]}, {head[3]}: ",
            (_WORDS[holds], _COLOURS[holds]),
            f"  {document.get('issued_at')}" + ("" if found["signature"] else "  not signed"),
        )
    )
    table = listing("table", "reader", "source", "landed", "", "verified through", whole=("table",))
    for name, part in document.get("tables", {}).items():
        rows: dict[str, Any] = next((line for line in part["lines"] if line["name"] in {"rows", "unchanged"}), {})
        state = _state(part["lines"])
        table.add_row(
            name,
            str(part.get("reader", "")),
            _number(rows.get("source")),
            _number(rows.get("landed")),
            Text(_WORDS[state], style=_COLOURS[state]),
            str(part.get("verified_through") or ""),
        )
    console.print(table)
    for name, lines in [
        *((n, p["lines"]) for n, p in document.get("tables", {}).items()),
        ("", document.get("lines", [])),
    ]:
        for line in lines:
            if line["holds"] is not True:
                said = f"{name} {line['name']}: {line['note'] or 'differs'}".strip()
                console.print(Text(said, style=_COLOURS[line["holds"]]))
    for name, part in document.get("tables", {}).items():
        for difference in part.get("differences", [])[:10]:
            console.print(f"  {name} {difference['key']}: {difference['what']}")


def _state(lines: list[dict[str, Any]]) -> bool | None:
    """Red where a line is, else yellow where one is, else green."""
    said = {line["holds"] for line in lines}
    return False if False in said else None if None in said else True


def _number(value: object) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
