from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey

from services.gateway.domain.permissions import Caller, Grant
from services.gateway.domain.tokens import TokenRefusedError, Tokens, digest, new_refresh_token

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET = "s" * 32
CALLER = Caller("ann", "0190", {"benton": Grant(("assessor",), ("pii:read",)), "*": Grant(("system_admin",))})
tokens = Tokens(SECRET, lifetime=timedelta(minutes=15))


def refusal(token: str, *, now: datetime = NOW) -> str:
    with pytest.raises(TokenRefusedError) as refused:
        tokens.read(token, now=now)
    return refused.value.code


def test_a_token_names_its_caller() -> None:
    assert tokens.read(tokens.issue(CALLER, now=NOW), now=NOW) == CALLER


def test_a_token_is_valid_up_to_its_end() -> None:
    token = tokens.issue(CALLER, now=NOW)
    assert tokens.read(token, now=NOW + timedelta(minutes=14, seconds=59)) == CALLER
    assert refusal(token, now=NOW + timedelta(minutes=15)) == "token_expired"


def test_another_secret_is_a_forgery() -> None:
    forged = Tokens("t" * 32, lifetime=timedelta(minutes=15)).issue(CALLER, now=NOW)
    assert refusal(forged) == "token_invalid"


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_another_algorithm_is_refused_even_with_our_secret(algorithm: str) -> None:
    key = OctKey.import_key(SECRET * 2)
    claims = {"iss": "terrafusion", "sub": "ann", "sid": "x", "exp": 9e9, "grants": {}}
    assert refusal(jwt.encode({"alg": algorithm}, claims, key, algorithms=[algorithm])) == "token_invalid"


def test_a_token_without_signature_is_refused() -> None:
    header, body, _ = tokens.issue(CALLER, now=NOW).split(".")
    none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"
    assert refusal(f"{none}.{body}.") == "token_invalid"
    assert refusal(f"{header}.{body}.") == "token_invalid"


@pytest.mark.parametrize("missing", ["iss", "sub", "sid", "exp", "grants"])
def test_every_claim_is_needed(missing: str) -> None:
    claims = {"iss": "terrafusion", "sub": "ann", "sid": "x", "exp": 9_000_000_000, "grants": {}}
    del claims[missing]
    assert refusal(jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET))) == "token_invalid"


@given(st.text(max_size=300))
def test_no_text_breaks_the_reader(text: str) -> None:
    assert refusal(text) == "token_invalid"


@given(st.data())
def test_no_changed_character_passes(data: st.DataObject) -> None:
    token = tokens.issue(CALLER, now=NOW)
    place = data.draw(st.integers(0, len(token) - 2))  # the last character has two unused bits
    other = data.draw(st.sampled_from("ABCabc019-_").filter(lambda c: c != token[place]))
    assert refusal(token[:place] + other + token[place + 1 :]) == "token_invalid"


def test_refresh_tokens_are_long_different_and_kept_as_digests() -> None:
    first, second = new_refresh_token(), new_refresh_token()
    assert first != second
    assert len(first) >= 43
    assert first not in digest(first)
    assert len(digest(first)) == 64
