"""The integrations of the policy file, as rows."""

import asyncio

from services.intake.integrations import store
from services.intake.integrations.policy import Integrations
from shared.policy.watch import PolicyWatch
from shared.postgres.database import Database
from shared.postgres.errors import UNAVAILABLE
from shared.runtime.clock import Clock

_POLL_SECONDS = 2.0


class Registrar:
    """A component. Writes each version of integrations.yaml that comes into force into the
    database, where the keys of its integrations are. All replicas may do so: the last one wins, and
    they read the same file.
    """

    def __init__(self, policy: PolicyWatch[Integrations], database: Database, clock: Clock) -> None:
        self._policy = policy
        self._database = database
        self._clock = clock
        self._written: str | None = None

    async def run(self) -> None:
        """Follow the policy until cancelled."""
        while True:
            await self.write()
            await asyncio.sleep(_POLL_SECONDS)

    async def write(self) -> None:
        """Write the version in force, unless that is done; the next call tries again where Postgres
        is away.
        """
        policy = self._policy.current
        if policy.version == self._written:
            return
        try:
            async with self._database.transaction() as connection:
                await store.apply_file(connection, policy.content.integrations, self._clock())
        except UNAVAILABLE:
            return
        self._written = policy.version

    def problems(self) -> list[str]:
        """None: the settings before stay in force meanwhile."""
        return []
