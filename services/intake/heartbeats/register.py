"""The heartbeats that there are, for those who make, change and delete them."""

from collections.abc import Sequence

from services.intake.heartbeats.domain import change, new_heartbeat, remove
from services.intake.heartbeats.store import list_heartbeats, lock_heartbeats, save_heartbeats
from services.intake.signals.domain import Heartbeat, HeartbeatSettings, ManagedBy
from shared.postgres.database import Database
from shared.postgres.errors import Conflict
from shared.runtime.clock import Clock

_ATTEMPTS = 5


class Register:
    """Makes, reads, changes and deletes heartbeats, each in a transaction of its own. What follows
    for their incidents is done by the running service, whose timer is set.

    All raise one of UNAVAILABLE; HeartbeatRefused is for a heartbeat that a policy file manages.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def find(self, name: str) -> Heartbeat | None:
        """The heartbeat of a name."""
        async with self._database.connection() as connection:
            return next(iter(await list_heartbeats(connection, name)), None)

    async def list(self) -> Sequence[Heartbeat]:
        """All heartbeats, by name."""
        async with self._database.connection() as connection:
            return await list_heartbeats(connection)

    async def save(
        self, name: str, settings: HeartbeatSettings, managed_by: ManagedBy = "sender"
    ) -> Heartbeat:
        """Make a heartbeat, or change the settings of the one that has the name. Raises
        HeartbeatRefused.
        """
        for _ in range(_ATTEMPTS):
            try:
                return await self._save(name, settings, managed_by)
            except Conflict:
                continue  # made by another at the same time: there now
        raise ConnectionError("other transactions won every race")

    async def _save(
        self, name: str, settings: HeartbeatSettings, managed_by: ManagedBy
    ) -> Heartbeat:
        async with self._database.transaction() as connection:
            now = self._clock()
            known = (await lock_heartbeats(connection, [name])).get(name)
            if known is None:
                saved = new_heartbeat(name, settings, managed_by, now)
            else:
                saved = change(known, settings, managed_by, now)
            await save_heartbeats(connection, [saved], (), now)
        return saved

    async def delete(self, name: str) -> bool:
        """Delete a heartbeat; its incident, if it has one, clears. False when there is none. Raises
        HeartbeatRefused.
        """
        async with self._database.transaction() as connection:
            now = self._clock()
            known = (await lock_heartbeats(connection, [name])).get(name)
            if known is None or known.removed:
                return False
            left = remove(known, "sender", now)
            gone = [] if left else [known.heartbeat_id]
            await save_heartbeats(connection, [left] if left else [], gone, now)
        return True
