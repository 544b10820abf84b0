"""Brings the table of heartbeats to what the policy file says."""

import asyncio
import logging
from collections.abc import Callable

from services.intake.heartbeats.domain import change, new_heartbeat, remove
from services.intake.heartbeats.policy import HeartbeatsPolicy
from services.intake.heartbeats.store import lock_heartbeats, lock_of_policy, save_heartbeats
from shared.policy.files import PolicyFile
from shared.postgres.database import Database
from shared.postgres.errors import UNAVAILABLE, Conflict
from shared.runtime.clock import Clock

log = logging.getLogger(__name__)
_POLL_SECONDS = 1.0


class PolicySync:
    """A component. Applies each version of the file once. A heartbeat whose settings stay as they
    are keeps its deadline, so a restart changes nothing.
    """

    def __init__(
        self, database: Database, policy: Callable[[], PolicyFile[HeartbeatsPolicy]], clock: Clock
    ) -> None:
        self._database = database
        self._policy = policy
        self._clock = clock
        self._applied: str | None = None

    async def run(self) -> None:
        """Follow the policy in force until cancelled."""
        while True:
            try:
                await self._follow()
            except (Conflict, *UNAVAILABLE) as error:
                log.warning(
                    "heartbeats.yaml is not applied yet", extra={"error": type(error).__qualname__}
                )
            await asyncio.sleep(_POLL_SECONDS)

    def problems(self) -> list[str]:
        """None: until a new version is applied, the one before it holds."""
        return []

    async def _follow(self) -> None:
        policy = self._policy()
        if policy.version != self._applied:
            await self.apply(policy.content)
            self._applied = policy.version

    async def apply(self, policy: HeartbeatsPolicy) -> None:
        """Make, change and delete heartbeats, in one transaction."""
        async with self._database.transaction() as connection:
            now = self._clock()
            managed = await lock_of_policy(connection)
            known = managed | await lock_heartbeats(connection, policy.heartbeats)
            wanted = [
                change(known[name], settings, "policy", now)
                if name in known
                else new_heartbeat(name, settings, "policy", now)
                for name, settings in policy.heartbeats.items()
            ]
            over = [
                (one, remove(one, "policy", now))
                for name, one in managed.items()
                if name not in policy.heartbeats
            ]
            saved = [one for one in wanted if one != known.get(one.name)]
            ending = [left for one, left in over if left and not one.removed]
            gone = [one.heartbeat_id for one, left in over if left is None]
            await save_heartbeats(connection, [*saved, *ending], gone, now)
        if saved or over:
            counts = {"made_or_changed": len(saved), "deleted": len(over)}
            log.info("heartbeats.yaml is applied", extra=counts)
