"""Signs documents, so that one that was downloaded years ago can be told from one that was made up or changed."""

import base64
import binascii
import json
from hashlib import sha256
from typing import Any, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MINIMUM_SECRET_CHARACTERS = 32
ALGORITHM = "Ed25519"
_PURPOSE = b"terrafusion certificate signature v1"


class Signer:
    """The platform's key: Ed25519 (RFC 8032), derived from its secret by HKDF-SHA256 (RFC 5869).

    Every process with the secret has the same key; none of it is stored.
    """

    def __init__(self, secret: str) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(derived_key(secret, _PURPOSE))

    @classmethod
    def of(cls, secret: str) -> Self | None:
        """The key; null where there is no secret that deserves the name."""
        return cls(secret) if deserves_the_name(secret) else None

    @property
    def public_key(self) -> str:
        """By which anybody can check signatures: base64 of 32 bytes."""
        return base64.b64encode(self._key.public_key().public_bytes_raw()).decode()

    def sign(self, document: dict[str, Any]) -> str:
        """Base64 of the signature of the document in its canonical form."""
        return base64.b64encode(self._key.sign(canonical(document))).decode()


def deserves_the_name(secret: str) -> bool:
    """Whether a secret is long enough to be one."""
    return len(secret) >= MINIMUM_SECRET_CHARACTERS


def derived_key(secret: str, purpose: bytes) -> bytes:
    """32 bytes for one purpose by HKDF-SHA256 (RFC 5869): keys of several purposes say nothing of each other."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret.encode())


def canonical(document: dict[str, Any]) -> bytes:
    """The one spelling of a document: JSON in UTF-8, names sorted, no blanks.

    Raises:
        ValueError: it holds a number with a fraction, which not every reader of JSON spells alike.
    """
    _require_exact(document)
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def is_signed(document: dict[str, Any], signature: str, *, public_key: str) -> bool:
    """Whether the document, to the last letter, was signed by whoever has the key."""
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        key.verify(base64.b64decode(signature, validate=True), canonical(document))
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True


def fingerprint(public_key: str) -> str:
    """Sixteen digits to compare two public keys by eye or over the telephone."""
    digits = sha256(public_key.encode()).hexdigest()[:16]
    return " ".join(digits[place : place + 4] for place in range(0, 16, 4))


def _require_exact(value: Any) -> None:
    if isinstance(value, float):
        raise ValueError("a signed document says numbers with a fraction as texts")  # noqa: TRY004 the type is a detail
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ():
        _require_exact(part)
