"""Alerts for senders that ask what is known of theirs."""

from collections.abc import Sequence
from typing import Any

from services.intake.signals.domain import KnownAlert, alert_key
from shared.events.intake import Severity
from shared.postgres.database import Database

_MAX_LISTED = 10_000
_KNOWN = """
    SELECT incident_id, number, incidents.origin, incidents.status AS incident_status, firing,
           acknowledged, content, signal_count, alerts.started_at, alerts.changed_at, ends_at
    FROM alerts JOIN incidents USING (incident_id)
"""


async def look_up(
    database: Database, origin: str, keys: Sequence[str] | None
) -> Sequence[KnownAlert]:
    """The newest alert of each of an origin's keys, or all alerts of its open incidents. Raises one
    of UNAVAILABLE.
    """
    async with database.connection() as connection:
        if keys is None:
            rows = await connection.fetch(
                f"""
                {_KNOWN} WHERE incidents.origin = $1 AND incidents.status = 'open'
                AND content IS NOT NULL ORDER BY alerts.started_at LIMIT $2
                """,
                origin,
                _MAX_LISTED,
            )
        else:
            rows = await connection.fetch(
                f"""
                SELECT newest.* FROM unnest($1::text[]) AS wanted (alert_key) CROSS JOIN LATERAL (
                    {_KNOWN} WHERE alerts.alert_key = wanted.alert_key AND content IS NOT NULL
                    ORDER BY alerts.changed_at DESC LIMIT 1
                ) AS newest
                """,  # noqa: S608 - text of our own
                [alert_key(origin, key) for key in keys],
            )
    return [_known(row) for row in rows]


def _known(row: Any) -> KnownAlert:
    content = row["content"]
    firing = row["firing"] and row["incident_status"] == "open"
    return KnownAlert(
        incident_id=row["incident_id"],
        number=row["number"],
        origin=row["origin"],
        key=content["key"] or "",
        status=("acknowledged" if row["acknowledged"] else "firing") if firing else "resolved",
        summary=content["summary"],
        severity=Severity(content["severity"]),
        service=content["service"],
        labels=content["labels"],
        annotations=content["annotations"],
        links=content["links"],
        count=row["signal_count"],
        started_at=row["started_at"],
        updated_at=row["changed_at"],
        ends_at=row["ends_at"],
    )
