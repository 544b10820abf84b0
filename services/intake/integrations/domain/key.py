"""Integration keys: 32 letters and digits, since some senders take nothing else. The first eight
are public and say which key it is. The others are random (142 bits), so one SHA-256 of them is all
that is kept.

Keys of the older form, `tocsin_<public part>_<secret>`, go on working.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from string import ascii_letters, digits

_ALPHABET = ascii_letters + digits
_PUBLIC = 8
_LENGTH = 32
_OLD_PREFIX = "tocsin_"
_MAX_OLD = 100


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as it is kept: the name of its integration, and the hash that a secret must have."""

    key_id: str
    name: str
    secret_hash: bytes
    created_at: datetime
    expires_at: datetime | None

    @property
    def prefix(self) -> str:
        """What of it may be seen: how the key begins."""
        return self.key_id if len(self.key_id) == _PUBLIC else f"{_OLD_PREFIX}{self.key_id}_"

    def lives(self, now: datetime) -> bool:
        """Whether it has not expired."""
        return self.expires_at is None or self.expires_at > now


def split_key(key: str) -> tuple[str, bytes] | None:
    """The public part and the hash of the secret, or None when it is no key at all."""
    if len(key) == _LENGTH and key.isascii() and key.isalnum():
        return key[:_PUBLIC], _hash(key[_PUBLIC:])
    parts = key.split("_", 2)
    if len(parts) != 3 or parts[0] != "tocsin" or len(key) > _MAX_OLD:
        return None
    if not (parts[1].isascii() and parts[1].isalnum()):
        return None
    return parts[1], _hash(parts[2])


def public_part(prefix: str) -> str:
    """The public part in what lists show of a key, or in the key itself."""
    if prefix.startswith(_OLD_PREFIX):
        return prefix.removeprefix(_OLD_PREFIX).partition("_")[0]
    return prefix[:_PUBLIC]


def new_key(name: str, lifetime: timedelta | None, now: datetime) -> tuple[str, StoredKey]:
    """A new key of an integration: as its owner gets it, and as it is kept."""
    key = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    expires_at = now + lifetime if lifetime else None
    return key, StoredKey(key[:_PUBLIC], name, _hash(key[_PUBLIC:]), now, expires_at)


def _hash(secret: str) -> bytes:
    # What is no UTF-8 cannot be a secret of ours, and must not be an error either.
    return hashlib.sha256(secret.encode(errors="replace")).digest()
