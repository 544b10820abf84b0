"""Integration keys: `tocsin_<key id>_<secret>`. The secret is random, so one SHA-256 of it is all
that is kept.
"""

import hashlib
import hmac
import re
import secrets
from datetime import datetime, timedelta

from services.intake.incidents import store
from services.intake.incidents.store import StoredKey
from shared.postgres.connection import Connection
from shared.postgres.database import Database
from shared.runtime.clock import Clock

_NAME = re.compile(r"(?!topic$)[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_REMEMBERED = timedelta(seconds=30)
_MAX_REMEMBERED = 10_000


def split_key(key: str) -> tuple[str, bytes] | None:
    """Key id and the hash of the secret, or None when it is no key at all."""
    parts = key.split("_", 2)
    if len(parts) != 3 or parts[0] != "tocsin" or not parts[1].isalnum() or len(key) > 100:
        return None
    return parts[1], hashlib.sha256(parts[2].encode()).digest()


async def create_key(
    connection: Connection, name: str, lifetime: timedelta | None, now: datetime
) -> str:
    """A new key for an integration. This return value is the only time that it is seen whole.

    Raises ValueError for a name that could be taken for another sender's.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(
            "a name has letters, digits, dots, dashes and underscores, 63 at the most, and is not `topic`"
        )
    key = f"tocsin_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"
    key_id, secret_hash = split_key(key) or ("", b"")
    await store.insert_key(
        connection, StoredKey(key_id, name, secret_hash, now + lifetime if lifetime else None), now
    )
    return key


class KeyRing:
    """Checks keys, remembering good ones for 30 s: so long a revoked key may still work, and
    Postgres is spared.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._remembered: dict[str, tuple[StoredKey, datetime]] = {}

    async def integration(self, key: str | None) -> str | None:
        """The integration's name, or None for a key that is absent, wrong or expired. Raises one of
        UNAVAILABLE.
        """
        parts = split_key(key or "")
        if parts is None:
            return None
        key_id, secret_hash = parts
        now = self._clock()
        stored, fresh_until = self._remembered.get(key_id, (None, now))
        if fresh_until <= now:
            async with self._database.connection() as connection:
                stored = await store.load_key(connection, key_id)
            if stored is not None:
                self._remember(stored, now)
        if stored is None or not hmac.compare_digest(stored.secret_hash, secret_hash):
            return None
        return None if stored.expires_at and stored.expires_at <= now else stored.name

    def _remember(self, stored: StoredKey, now: datetime) -> None:
        if len(self._remembered) >= _MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered[stored.key_id] = (stored, now + _REMEMBERED)
