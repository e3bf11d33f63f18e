"""Tokens as numbers, for comparing; as texts they go on exactly as the source spelt them."""

from services.ingest.sources.source import MarkerKind


def number(token: str, kind: MarkerKind) -> int:
    """Change tracking counts in decimal digits; log sequence numbers and row versions are hexadecimal."""
    return int(token, 10 if kind == "change_tracking" else 16)


def before(token: str) -> str:
    """The hexadecimal token one below, spelt alike."""
    digits = token.removeprefix("0x")
    below = f"{int(digits, 16) - 1:0{len(digits)}x}"
    return token[: len(token) - len(digits)] + (below.upper() if digits == digits.upper() else below)
