"""The keys that requests come with."""

import hmac
from datetime import datetime, timedelta

from services.intake.keys import store
from services.intake.keys.domain import Integration, StoredKey, split_key
from shared.postgres.database import Database
from shared.runtime.clock import Clock

_REMEMBERED = timedelta(seconds=30)
_MAX_REMEMBERED = 10_000


class KeyRing:
    """Checks keys. Good ones are remembered for 30 s, which spares Postgres: that long a revoked
    key may still work.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._remembered: dict[str, tuple[StoredKey, datetime]] = {}

    async def integration(self, key: str | None, gateway: str) -> Integration | None:
        """Whose key it is, or None for one that is absent, wrong or expired, or may not be used
        with this gateway. Raises one of UNAVAILABLE.
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
        expired = stored.expires_at and stored.expires_at <= now
        return None if expired else Integration(stored.name)

    def _remember(self, stored: StoredKey, now: datetime) -> None:
        if len(self._remembered) >= _MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered[stored.key_id] = (stored, now + _REMEMBERED)
