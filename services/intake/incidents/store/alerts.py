"""SQL of the alerts that incidents consist of."""

from collections.abc import Collection, Mapping
from dataclasses import fields
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from services.intake.incidents.domain.ending import Ended
from services.intake.incidents.domain.grouping import Grouped
from services.intake.incidents.domain.incident import Incident, Member, Place
from shared.postgres.connection import Connection
from shared.postgres.writes import Write

_OF_MEMBER = tuple(field.name for field in fields(Member))
_VALUES = attrgetter(*_OF_MEMBER)
_COPIED = ", ".join(("alert_key", *_OF_MEMBER))
_MEMBER = f"incident_id, {_COPIED}"
_TYPES = {
    "incident_id": "uuid",
    "firing": "boolean",
    "held": "boolean",
    "by_policy": "boolean",
    "acknowledged": "boolean",
    "ends_at": "timestamptz",
    "started_at": "timestamptz",
    "changed_at": "timestamptz",
    "stands_for": "int",
    "content": "jsonb",
}
_ARRAYS = ", ".join(
    f"${place}::{_TYPES.get(name, 'text')}[]" for place, name in enumerate(_MEMBER.split(", "), 1)
)
_CHANGED = ", ".join(f"{name} = EXCLUDED.{name}" for name in _OF_MEMBER)


async def load_members(
    connection: Connection,
    named: Collection[Place],
    groups: Collection[UUID],
    items: Collection[Grouped],
    open_incidents: Collection[Incident],
) -> dict[Place, Member]:
    """The known among the alerts (incident, alert key) that are `named`, all that fire in the
    incidents of `groups`, and those of `items` that fire in one of the open incidents.

    Never in one statement with the lock of their incidents: a statement that waited for a lock
    still sees the alerts as they were before it waited.
    """
    rows = await connection.fetch(
        f"""
        SELECT {_MEMBER} FROM alerts
             JOIN unnest($1::uuid[], $2::text[]) AS named (incident_id, alert_key)
             USING (incident_id, alert_key)
        UNION ALL
        SELECT {_MEMBER}
        FROM alerts JOIN unnest($3::uuid[]) AS whole (incident_id) USING (incident_id)
        WHERE firing
        UNION ALL
        SELECT {_MEMBER} FROM alerts
        WHERE identity = ANY ($4::text[]) AND firing
        """,  # noqa: S608 - column names of our own
        [incident_id for incident_id, _ in named],
        [key for _, key in named],
        list(groups),
        [item.identity for item in items],
    )
    # Chosen here: by two conditions, the planner might read all alerts of the incidents.
    known = {incident.incident_id for incident in open_incidents}
    return {
        (row["incident_id"], row["alert_key"]): _member(row)
        for row in rows
        if row["incident_id"] in known
    }


def _member(row: Any) -> Member:
    return Member(**{name: row[name] for name in _OF_MEMBER})


async def list_alerts(
    connection: Connection, incident_id: UUID, after: str | None, limit: int
) -> list[tuple[str, Member]]:
    """The listed alerts of an incident with their keys in there, in order of these, from the first
    one `after` a key.
    """
    rows = await connection.fetch(
        f"""
        SELECT {_COPIED} FROM alerts
        WHERE incident_id = $1 AND ($2::text IS NULL OR alert_key > $2)
          AND alert_key NOT LIKE E'\\x1f%' ORDER BY alert_key LIMIT $3
        """,  # noqa: S608 - column names of our own
        incident_id,
        after,
        limit,
    )
    return [(row["alert_key"], _member(row)) for row in rows]


def members_write(members: Mapping[Place, Member]) -> Write | None:
    """Writes alerts of locked incidents."""
    if not members:
        return None
    return Write(
        f"""
        INSERT INTO alerts ({_MEMBER})
        SELECT * FROM unnest({_ARRAYS})
        ON CONFLICT (incident_id, alert_key) DO UPDATE SET {_CHANGED}
        """,  # noqa: S608 - column names of our own
        tuple(zip(*(_row(place, member) for place, member in members.items()), strict=True)),
    )


def _row(place: Place, member: Member) -> tuple[Any, ...]:
    return (*place, *_VALUES(member))


def copied_members_write(successors: Mapping[UUID, UUID]) -> Write | None:
    """Lets each new incident (value) begin with the alerts that fire in the one before it (key)."""
    if not successors:
        return None
    return Write(
        f"""
        INSERT INTO alerts (incident_id, {_COPIED})
        SELECT successor, {_COPIED}
        FROM alerts JOIN unnest($1::uuid[], $2::uuid[]) AS pair (incident_id, successor)
             USING (incident_id)
        WHERE firing
        """,  # noqa: S608 - column names of our own
        (list(successors), list(successors.values())),
    )


def ended_members_write(incident_ids: Collection[UUID]) -> Write | None:
    """Ends the alerts of closed incidents that may come again in another one."""
    if not incident_ids:
        return None
    return Write(
        """
        UPDATE alerts SET firing = false
        WHERE incident_id = ANY ($1::uuid[]) AND firing AND identity IS NOT NULL
        """,
        (list(incident_ids),),
    )


async def end_expired_alerts(
    connection: Connection, incident_ids: Collection[UUID], before: datetime, now: datetime
) -> dict[UUID, Ended]:
    """End the firing alerts whose `ends_at` lies before the given instant; what ended, by
    incident.
    """
    rows = await connection.fetch(
        """
        WITH ended AS (
            UPDATE alerts SET firing = false, changed_at = $3
            WHERE incident_id = ANY ($1::uuid[]) AND firing AND ends_at <= $2
            RETURNING incident_id, alert_key, stands_for, held, by_policy
        ), summed AS (
            SELECT incident_id, sum(stands_for) AS alerts, array_agg(alert_key) AS keys,
                   bool_and(held) AS were_held, bool_and(by_policy) AS by_policy
            FROM ended GROUP BY incident_id
        )
        SELECT incident_id, coalesce(alerts, 0) AS alerts, coalesce(keys, '{}') AS keys,
               coalesce(were_held, false) AS were_held,
               coalesce(by_policy, false) AS by_policy,
               (SELECT min(ends_at) FROM alerts
                WHERE alerts.incident_id = wanted.incident_id AND firing AND ends_at > $2
               ) AS next_end
        FROM unnest($1::uuid[]) AS wanted (incident_id) LEFT JOIN summed USING (incident_id)
        """,
        list(incident_ids),
        before,
        now,
    )
    return {
        row["incident_id"]: Ended(
            row["alerts"], set(row["keys"]), row["were_held"], row["next_end"], row["by_policy"]
        )
        for row in rows
    }
