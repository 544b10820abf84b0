"""Integration keys: `tocsin_<key id>_<secret>`. The secret is random, so one SHA-256 of it is all
that is kept.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

_NAME = re.compile(r"(?!topic$)[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_MAX_KEY = 100


@dataclass(frozen=True, slots=True)
class Integration:
    """Who sends: a system, or a part of one, that has keys of its own."""

    name: str


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as it is kept: the name of its integration, and the hash that a secret must have."""

    key_id: str
    name: str
    secret_hash: bytes
    expires_at: datetime | None


def split_key(key: str) -> tuple[str, bytes] | None:
    """Key id and the hash of the secret, or None when it is no key at all."""
    parts = key.split("_", 2)
    if len(parts) != 3 or parts[0] != "tocsin" or not parts[1].isalnum() or len(key) > _MAX_KEY:
        return None
    return parts[1], _hash(parts[2])


def new_key(name: str, lifetime: timedelta | None, now: datetime) -> tuple[str, StoredKey]:
    """A new key for an integration: as its owner gets it, and as it is kept.

    Raises ValueError for a name that could be mistaken for another sender's.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(
            "a name has letters, digits, dots, dashes and underscores, at most 63 of them, "
            "and is not `topic`"
        )
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    expires_at = now + lifetime if lifetime else None
    return f"tocsin_{key_id}_{secret}", StoredKey(key_id, name, _hash(secret), expires_at)


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
