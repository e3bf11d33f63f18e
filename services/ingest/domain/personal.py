"""Codes that tell personal values apart without showing them."""

import hmac
from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class PersonalKey:
    """The key by which personal values become codes; `id` tells the codes of one key from those of the next."""

    secret: bytes

    @property
    def id(self) -> str:
        """Eight digits that identify the key and do not help to find it."""
        return sha256(b"terrafusion personal key" + self.secret).hexdigest()[:8]

    def __call__(self, value: str) -> str:
        """`hmac:<key id>:<32 digits>` of HMAC-SHA256 (RFC 2104); equal values have equal codes."""
        return f"hmac:{self.id}:{hmac.new(self.secret, value.encode(), sha256).hexdigest()[:32]}"
