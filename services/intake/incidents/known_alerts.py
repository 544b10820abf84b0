"""Alerts for senders that ask what is known of theirs."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from uuid import UUID

from services.intake.incidents.store.known import list_members, list_newest_alerts, list_open_alerts
from services.intake.signals.domain import KnownAlert, Wanted
from services.intake.signals.domain.redaction import redactor
from services.intake.signals.policy import SignalPolicy
from shared.postgres.database import Database


class KnownAlerts:
    """Reads them. Raises one of UNAVAILABLE."""

    def __init__(
        self, database: Database, policy: Callable[[], SignalPolicy] = SignalPolicy
    ) -> None:
        self._database = database
        self._policy = policy

    async def find(self, origin: str, wanted: Wanted) -> Sequence[KnownAlert]:
        """The newest alert of each of an origin's keys, its alerts in one incident, or all alerts
        of its open incidents.
        """
        async with self._database.connection() as connection:
            if wanted is None:
                return await list_open_alerts(connection, origin)
            if isinstance(wanted, UUID | int):
                return await list_members(connection, origin, wanted)
            # Keys are kept without what is redacted.
            rules = redactor(self._policy().redact)
            asked = {rules.key(key): key for key in wanted}
            found = await list_newest_alerts(connection, origin, list(asked))
        return [replace(alert, key=asked.get(alert.key, alert.key)) for alert in found]
