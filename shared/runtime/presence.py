"""Says in the service's schema that this process runs, and with which versions."""

import asyncio
import logging
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from typing import Protocol, runtime_checkable

from shared.postgres.database import Database
from shared.postgres.errors import UNAVAILABLE
from shared.postgres.replicas import SEEN_EVERY, Replica, delete_replica, save_replica
from shared.runtime.clock import Clock
from shared.runtime.health import Component

log = logging.getLogger(__name__)
_GOODBYE_SECONDS = 1


@runtime_checkable
class FollowsPolicy(Protocol):
    """A component with a policy file."""

    def policy_version(self) -> tuple[str, str]:
        """The file's name, and its version in force."""


class Presence:
    """A component. `instance` names the process; without one its host and its id do."""

    def __init__(
        self,
        database: Database,
        components: Mapping[str, Component],
        instance: str | None,
        clock: Clock,
    ) -> None:
        self._database = database
        self._components = components
        self._name = instance or f"{socket.gethostname()}:{os.getpid()}"
        self._clock = clock
        self._started_at = clock()

    async def run(self) -> None:
        """Say so until cancelled, and then that it ends."""
        try:
            while True:
                try:
                    await self._say()
                except UNAVAILABLE as error:
                    log.info("the replica is not listed", extra={"error": type(error).__qualname__})
                await asyncio.sleep(SEEN_EVERY.total_seconds())
        finally:
            with suppress(*UNAVAILABLE):
                async with asyncio.timeout(_GOODBYE_SECONDS), self._database.connection() as here:
                    await delete_replica(here, self._name)

    def problems(self) -> list[str]:
        """None: `tocsin doctor` alone needs it."""
        return []

    async def _say(self) -> None:
        followed = [one for one in self._components.values() if isinstance(one, FollowsPolicy)]
        policies = dict(one.policy_version() for one in followed)
        replica = Replica(self._name, version("tocsin"), policies, self._started_at)
        async with self._database.connection() as connection:
            await save_replica(connection, replica, self._clock())
