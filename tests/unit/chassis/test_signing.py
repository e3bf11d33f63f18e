import json
import secrets
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.signing import Signer, canonical, derived_key, deserves_the_name, fingerprint, is_signed

SECRET = "a secret of more than thirty-two characters"
NAMES = st.text(max_size=4)
SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
DOCUMENTS = st.dictionaries(
    NAMES,
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)


@given(DOCUMENTS)
def test_a_document_is_signed_whatever_the_order_of_its_names(document: dict[str, Any]) -> None:
    signer = Signer(SECRET)
    shuffled = dict(reversed(document.items()))
    assert is_signed(shuffled, signer.sign(document), public_key=signer.public_key)
    assert is_signed(json.loads(canonical(document)), signer.sign(document), public_key=signer.public_key)


@given(DOCUMENTS, DOCUMENTS)
def test_another_document_is_not_signed(document: dict[str, Any], other: dict[str, Any]) -> None:
    signer = Signer(SECRET)
    is_same = canonical(document) == canonical(other)
    assert is_signed(other, signer.sign(document), public_key=signer.public_key) == is_same


def test_every_process_with_the_secret_has_the_same_key_and_no_other() -> None:
    assert Signer(SECRET).public_key == Signer(SECRET).public_key != Signer(SECRET + ".").public_key
    assert not is_signed({"a": 1}, Signer(SECRET + ".").sign({"a": 1}), public_key=Signer(SECRET).public_key)
    assert len(fingerprint(Signer(SECRET).public_key)) == 19


@pytest.mark.parametrize("signature", ["", "no base64!", "AAAA", "A" * 86 + "=="])
def test_what_is_no_signature_signs_nothing(signature: str) -> None:
    assert not is_signed({"a": 1}, signature, public_key=Signer(SECRET).public_key)
    assert not is_signed({"a": 1}, Signer(SECRET).sign({"a": 1}), public_key=signature)


@pytest.mark.parametrize("document", [{"a": 0.5}, {"a": [1, {"b": float("nan")}]}])
def test_numbers_with_a_fraction_are_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="fraction"):
        canonical(document)


def test_a_short_secret_signs_nothing() -> None:
    assert Signer.of(secrets.token_hex(15)) is None
    assert Signer.of(secrets.token_hex(16)) is not None


def test_keys_of_several_purposes_say_nothing_of_each_other() -> None:
    one, other = derived_key(SECRET, b"one"), derived_key(SECRET, b"other")
    assert len({one, other, derived_key(SECRET + ".", b"one")}) == 3
    assert (len(one), one) == (32, derived_key(SECRET, b"one"))
    assert [deserves_the_name("x" * length) for length in (0, 31, 32)] == [False, False, True]
