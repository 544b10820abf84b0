"""The keys that requests come with."""

import asyncio
import hmac
from asyncio import Future, Task
from collections.abc import Sequence
from typing import TypeVar

from services.intake.integrations import store
from services.intake.integrations.domain import Integration, split_key
from shared.postgres.database import Database
from shared.runtime.clock import Clock

Value = TypeVar("Value")

_REMEMBERED_SECONDS = 30.0
_MOST_REMEMBERED = 10_000
_MOST_WANTED = 10_000
_MOST_OF_ONE_STATEMENT = 1_000
_PAUSE_SECONDS = 0.02


class TooManyUnknown(Exception):
    """More keys wait to be looked up than there is room for."""


class KeyRing:
    """Checks keys. What is known of one, also that there is none, is remembered for 30 s, which
    spares Postgres: that long a revoked key may still work.

    Those that are not known are looked up together, a thousand by one statement and at most 50
    statements a second, whatever comes: somebody who guesses does not keep Postgres busy, and a
    good key waits no longer than for a statement or two.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._good: dict[str, tuple[store.Known, float]] = {}
        self._unknown: dict[str, float] = {}
        self._wanted: dict[str, Future[store.Known | None]] = {}
        self._looking: Task[None] | None = None

    async def integration(self, key: str | None, gateway: str) -> Integration | None:
        """Whose key it is, or None for one that is absent, wrong or expired, or may not be used
        with this gateway. Raises TooManyUnknown, or one of UNAVAILABLE.
        """
        parts = split_key(key or "")
        if parts is None:
            return None
        key_id, secret_hash = parts
        known = await self._known(key_id)
        if known is None:
            return None
        stored, integration = known
        if not hmac.compare_digest(stored.secret_hash, secret_hash):
            return None
        if not stored.lives(self._clock()) or integration.gateway not in (None, gateway):
            return None
        return integration

    async def _known(self, key_id: str) -> store.Known | None:
        now = asyncio.get_running_loop().time()
        known, until = self._good.get(key_id, (None, 0.0))
        if until > now:
            return known
        if self._unknown.get(key_id, 0.0) > now:
            return None
        found = self._wanted.get(key_id)
        if found is None:
            if len(self._wanted) >= _MOST_WANTED:
                raise TooManyUnknown
            found = self._wanted[key_id] = asyncio.get_running_loop().create_future()
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_up())
        return await asyncio.shield(found)  # others may wait for it, too

    async def _look_up(self) -> None:
        while self._wanted:
            key_ids = list(self._wanted)[:_MOST_OF_ONE_STATEMENT]
            try:
                async with self._database.connection() as connection:
                    found = await store.load_keys(connection, key_ids)
            except Exception as error:
                self._fail(key_ids, error)
            else:
                self._answer(key_ids, found)
            if self._wanted:
                await asyncio.sleep(_PAUSE_SECONDS)

    def _answer(self, key_ids: Sequence[str], found: dict[str, store.Known]) -> None:
        until = asyncio.get_running_loop().time() + _REMEMBERED_SECONDS
        for key_id in key_ids:
            known = found.get(key_id)
            if known is None:
                self._good.pop(key_id, None)
                _remember(self._unknown, key_id, until)
            else:
                _remember(self._good, key_id, (known, until))
            waiting = self._wanted.pop(key_id)
            if not waiting.done():
                waiting.set_result(known)

    def _fail(self, key_ids: Sequence[str], error: Exception) -> None:
        for key_id in key_ids:
            waiting = self._wanted.pop(key_id)
            if not waiting.done():
                waiting.set_exception(error)
                waiting.exception()  # seen, even if all that waited have hung up


def _remember(remembered: dict[str, Value], key_id: str, value: Value) -> None:
    """Keep it as the newest, and no more than there is room for."""
    remembered.pop(key_id, None)
    while len(remembered) >= _MOST_REMEMBERED:
        del remembered[next(iter(remembered))]
    remembered[key_id] = value
