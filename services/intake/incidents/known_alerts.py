"""Alerts for senders that ask what is known of theirs."""

from collections.abc import Sequence
from uuid import UUID

from services.intake.incidents.store.known import list_members, list_newest_alerts, list_open_alerts
from services.intake.signals.domain import KnownAlert, Wanted
from shared.postgres.database import Database


class KnownAlerts:
    """Reads them. Raises one of UNAVAILABLE."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, origin: str, wanted: Wanted) -> Sequence[KnownAlert]:
        """The newest alert of each of an origin's keys, its alerts in one incident, or all alerts
        of its open incidents.
        """
        async with self._database.connection() as connection:
            if wanted is None:
                return await list_open_alerts(connection, origin)
            if isinstance(wanted, UUID | int):
                return await list_members(connection, origin, wanted)
            return await list_newest_alerts(connection, origin, wanted)
