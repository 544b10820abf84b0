"""SQL of alerts for senders that ask what is known of theirs."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from services.intake.signals.domain import KnownAlert, alert_key
from shared.postgres.connection import Connection

_MAX_LISTED = 10_000
# An incident may gather alerts of several origins; its own is that of the first.
_ORIGIN = "coalesce(content->>'origin', origin)"
_ALERT = f"""
    SELECT incident.incident_id, number, {_ORIGIN} AS origin, status, name, firing, acknowledged,
           content, summary, severity, service, labels, annotations, links, signal_count,
           alerts.ends_at, changed_at,
           coalesce(alerts.started_at, incident.started_at) AS started_at
"""
_LISTED = f"""
    {_ALERT} FROM incidents AS incident JOIN alerts USING (incident_id)
    WHERE {_ORIGIN} = $1 AND status = 'open' AND alert_key NOT LIKE E'\\x1f%'
    ORDER BY opened_at, alert_key LIMIT $2
"""
_NEWEST = f"""
    {_ALERT} FROM unnest($1::text[]) AS wanted (fingerprint) CROSS JOIN LATERAL (
        SELECT * FROM (
            (SELECT * FROM incidents WHERE fingerprint = wanted.fingerprint
             AND status = 'open' AND takes_more)
            UNION ALL
            (SELECT * FROM incidents WHERE fingerprint = wanted.fingerprint
             AND status <> 'open' ORDER BY opened_at DESC LIMIT 1)
            UNION ALL
            SELECT incidents.* FROM alerts JOIN incidents USING (incident_id)
            WHERE identity = wanted.fingerprint AND firing AND status = 'open'
        ) AS found ORDER BY status = 'open' DESC LIMIT 1
    ) AS incident JOIN alerts ON alerts.incident_id = incident.incident_id
         AND (alert_key = '' OR identity = wanted.fingerprint)
"""  # noqa: S608 - text of our own
_MEMBERS = f"""
    {_ALERT} FROM incidents AS incident JOIN alerts USING (incident_id)
    WHERE {_ORIGIN} = $1 AND %s AND alert_key NOT LIKE E'\\x1f%%' ORDER BY alert_key LIMIT $3
"""
_OF_ID = _MEMBERS % "incident_id = $2"
# After a restore a number can come twice; only one of them is open.
_OF_NUMBER = _MEMBERS % "number = $2 AND status = 'open'"


async def list_open_alerts(connection: Connection, origin: str) -> list[KnownAlert]:
    """The alerts of an origin whose incident is open, oldest first; so many at most."""
    return [_known(row) for row in await connection.fetch(_LISTED, origin, _MAX_LISTED)]


async def list_newest_alerts(
    connection: Connection, origin: str, keys: Sequence[str]
) -> list[KnownAlert]:
    """The newest alert of each of an origin's keys that is known."""
    wanted = [alert_key(origin, key) for key in keys]
    return [_known(row) for row in await connection.fetch(_NEWEST, wanted)]


async def list_members(
    connection: Connection, origin: str, incident: UUID | int
) -> list[KnownAlert]:
    """The alerts of an origin in one incident, by its id, or by its number while it is open."""
    query = _OF_NUMBER if isinstance(incident, int) else _OF_ID
    return [_known(row) for row in await connection.fetch(query, origin, incident, _MAX_LISTED)]


def _known(row: Any) -> KnownAlert:
    content = row["content"] or row
    firing = row["firing"] and row["status"] == "open"
    return KnownAlert(
        incident_id=row["incident_id"],
        number=row["number"],
        origin=row["origin"],
        key=row["name"] or "",
        status=("acknowledged" if row["acknowledged"] else "firing") if firing else "resolved",
        summary=content["summary"],
        severity=content["severity"] or row["severity"],
        service=content["service"],
        labels=content["labels"],
        annotations=content["annotations"],
        links=content["links"],
        count=row["signal_count"],
        started_at=row["started_at"],
        updated_at=row["changed_at"],
        ends_at=row["ends_at"],
    )
