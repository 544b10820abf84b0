"""SQL of incidents and their alerts. Whoever changes an incident holds the lock of its row."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from services.intake.incidents.domain.incident import Incident, Member
from services.intake.signals.domain import Alert, NeedsLocks, Signal
from shared.events.intake import Severity
from shared.postgres.connection import Connection
from shared.postgres.installation import EPOCH
from shared.postgres.writes import Write

_RENAMED = {"published_at": "told_at", "update_pending": "held_back"}
_FIELDS = tuple(field.name for field in fields(Incident))
_COLUMNS = {name: _RENAMED.get(name, name) for name in _FIELDS}
_SELECTED = ", ".join(f"{column} AS {name}" for name, column in _COLUMNS.items())
_WRITTEN = ", ".join(_COLUMNS.values())
_NEW = ", ".join(f"new.{column}" for column in _COLUMNS.values())

# Joins, not an OR: that would read whole tables as soon as the planner thinks them small.
_KNOWN = """
    WITH sent AS (
        SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[]) WITH ORDINALITY
                      AS sent (origin, signal_id, subject, place)
    ), known AS (
        SELECT place FROM sent JOIN signals USING (origin, signal_id)
        UNION ALL
        SELECT place FROM sent JOIN incidents ON incident_id = sent.subject
        UNION ALL
        SELECT place FROM sent JOIN resolved_ahead ON incident_id = sent.subject
    )"""
_LOCK_FOR_SIGNALS = f"""{_KNOWN}, opened AS (
        SELECT {_SELECTED} FROM incidents
        WHERE fingerprint = ANY ($4::text[]) AND status = 'open'
        ORDER BY incident_id FOR UPDATE
    ), batch AS (
        SELECT {EPOCH} AS epoch, ARRAY(SELECT place FROM known) AS known, ARRAY(
            SELECT nextval('incident_numbers') FROM unnest($5::text[]) AS fired (fingerprint)
            WHERE NOT EXISTS (SELECT FROM opened WHERE opened.fingerprint = fired.fingerprint)
        ) AS numbers
    )
    SELECT epoch, incident.*,
           CASE WHEN nth IS NULL OR nth = 1 THEN known END AS known,
           CASE WHEN nth IS NULL OR nth = 1 THEN numbers END AS numbers
    FROM batch LEFT JOIN (SELECT row_number() OVER () AS nth, * FROM opened) AS incident ON true
    ORDER BY nth
"""  # noqa: S608 - column names of our own
# Without FOR UPDATE: a lock that ends with its statement protects nothing, and costs a WAL flush.
_READ_FOR_NEW = f"""{_KNOWN}, opened AS MATERIALIZED (
        SELECT FROM incidents WHERE fingerprint = ANY ($4::text[]) AND status = 'open'
    )
    SELECT {EPOCH} AS epoch, ARRAY(SELECT place FROM known) AS known,
           EXISTS (SELECT FROM opened) AS met,
           ARRAY(SELECT nextval('incident_numbers') FROM unnest($5::text[])
                 WHERE NOT EXISTS (SELECT FROM opened)) AS numbers
"""  # noqa: S608 - column names of our own


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a batch of signals meets. `known` are the places, from 1, of signals that were taken
    before; `numbers` are enough for one incident for each new fingerprint.
    """

    epoch: int
    known: Collection[int]
    numbers: Sequence[int]
    open: Mapping[str, Incident]


async def lock_for_signals(
    connection: Connection, signals: Sequence[Signal], alerts: Collection[Alert]
) -> Loaded:
    """Find the signals that were taken before (still remembered, or past the window but their
    incident exists or is over), and lock the open incidents of the alerts.
    """
    rows = await connection.fetch(_LOCK_FOR_SIGNALS, *_sought(signals, alerts))
    found = {row["fingerprint"]: _incident(row) for row in rows if row["incident_id"]}
    return Loaded(rows[0]["epoch"], set(rows[0]["known"]), rows[0]["numbers"], found)


async def read_for_new(
    connection: Connection, signals: Sequence[Signal], alerts: Collection[Alert]
) -> Loaded:
    """`lock_for_signals` for signals that need no lock, because none that is new meets an open
    incident. Raises NeedsLocks otherwise.
    """
    (row,) = await connection.fetch(_READ_FOR_NEW, *_sought(signals, alerts))
    loaded = Loaded(row["epoch"], set(row["known"]), row["numbers"], {})
    if row["met"] and len(loaded.known) < len(signals):
        raise NeedsLocks
    return loaded


def _sought(signals: Sequence[Signal], alerts: Collection[Alert]) -> tuple[list[Any], ...]:
    return (
        [signal.origin for signal in signals],
        [signal.signal_id for signal in signals],
        [signal.subject for signal in signals],
        list({alert.fingerprint for alert in alerts}),
        list({alert.fingerprint for alert in alerts if alert.fires}),
    )


async def find_incident(connection: Connection, number: int) -> list[UUID]:
    """The id of the newest incident with this number, or nothing."""
    query = "SELECT incident_id FROM incidents WHERE number = $1 ORDER BY opened_at DESC LIMIT 1"
    return [row["incident_id"] for row in await connection.fetch(query, number)]


async def lock_incidents(
    connection: Connection, incident_ids: Collection[UUID]
) -> tuple[int, dict[UUID, Incident]]:
    """The epoch, and incidents by id, locked in order of id; unknown ids are left out."""
    rows = await connection.fetch(
        f"""
        WITH locked AS (
            SELECT {_SELECTED} FROM incidents
            WHERE incident_id = ANY ($1::uuid[]) ORDER BY incident_id FOR UPDATE
        )
        SELECT epoch, locked.* FROM {EPOCH} AS installation LEFT JOIN locked ON true
        """,  # noqa: S608 - column names of our own
        list(incident_ids),
    )
    found = {row["incident_id"]: _incident(row) for row in rows if row["incident_id"]}
    return rows[0]["epoch"], found


def _incident(row: Any) -> Incident:
    values = {name: row[name] for name in _FIELDS}
    return Incident(**values | {"severity": Severity(values["severity"])})


async def load_members(
    connection: Connection, named: Collection[tuple[UUID, str]], groups: Collection[UUID]
) -> dict[tuple[UUID, str], Member]:
    """The known among the alerts (incident, alert key) that are `named`, and all that fire in the
    incidents of `groups`.

    Never in one statement with the lock of their incidents: a statement that waited for a lock
    still sees the alerts as they were before it waited.
    """
    rows = await connection.fetch(
        """
        SELECT incident_id, alert_key, firing, ends_at, stands_for
        FROM alerts JOIN unnest($1::uuid[], $2::text[]) AS named (incident_id, alert_key)
             USING (incident_id, alert_key)
        UNION ALL
        SELECT incident_id, alert_key, firing, ends_at, stands_for
        FROM alerts JOIN unnest($3::uuid[]) AS whole (incident_id) USING (incident_id)
        WHERE firing
        """,
        [incident_id for incident_id, _ in named],
        [key for _, key in named],
        list(groups),
    )
    return {
        (row["incident_id"], row["alert_key"]): Member(
            row["firing"], row["ends_at"], row["stands_for"]
        )
        for row in rows
    }


async def take_numbers(connection: Connection, count: int) -> Iterator[int]:
    """The next short numbers for people."""
    if count <= 0:
        return iter(())
    rows = await connection.fetch(
        "SELECT nextval('incident_numbers') AS number FROM generate_series(1, $1)", count
    )
    return iter([row["number"] for row in rows])


def updated_write(incidents: Iterable[Incident]) -> Write | None:
    """Writes incidents over their rows, which the caller has locked."""
    rows = [_row(incident) for incident in incidents]
    if not rows:
        return None
    return Write(
        f"""
        UPDATE incidents SET ({_WRITTEN}) = ROW ({_NEW})
        FROM jsonb_populate_recordset(NULL::incidents, $1::jsonb) AS new
        WHERE incidents.incident_id = new.incident_id
        """,  # noqa: S608 - column names of our own
        (rows,),
    )


def inserted_write(incidents: Iterable[Incident]) -> Write | None:
    """Adds incidents. Conflict when another transaction has opened one for a fingerprint."""
    # In order of fingerprint: two transactions that open the same ones do not wait in a circle.
    rows = [_row(one) for one in sorted(incidents, key=lambda one: one.fingerprint)]
    if not rows:
        return None
    return Write(
        f"""
        INSERT INTO incidents ({_WRITTEN})
        SELECT {_WRITTEN} FROM jsonb_populate_recordset(NULL::incidents, $1::jsonb)
        ON CONFLICT DO NOTHING
        """,  # noqa: S608 - column names of our own
        (rows,),
        expected=len(rows),
    )


def _row(incident: Incident) -> dict[str, Any]:
    return {column: getattr(incident, name) for name, column in _COLUMNS.items()}


def members_write(members: Mapping[tuple[UUID, str], Member]) -> Write | None:
    """Writes alerts of locked incidents."""
    if not members:
        return None
    return Write(
        """
        INSERT INTO alerts (incident_id, alert_key, firing, ends_at, stands_for)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::boolean[], $4::timestamptz[], $5::int[])
        ON CONFLICT (incident_id, alert_key) DO UPDATE
        SET firing = EXCLUDED.firing, ends_at = EXCLUDED.ends_at, stands_for = EXCLUDED.stands_for
        """,
        (
            [incident_id for incident_id, _ in members],
            [key for _, key in members],
            [member.firing for member in members.values()],
            [member.ends_at for member in members.values()],
            [member.stands_for for member in members.values()],
        ),
    )


def copied_members_write(successors: Mapping[UUID, UUID]) -> Write | None:
    """Lets each new incident (value) begin with the alerts that fire in the one before it (key)."""
    if not successors:
        return None
    return Write(
        """
        INSERT INTO alerts (incident_id, alert_key, firing, ends_at, stands_for)
        SELECT successor, alert_key, firing, ends_at, stands_for
        FROM alerts JOIN unnest($1::uuid[], $2::uuid[]) AS pair (incident_id, successor)
             USING (incident_id)
        WHERE firing
        """,
        (list(successors), list(successors.values())),
    )


def early_resolutions_write(incident_ids: Collection[UUID], now: datetime) -> Write | None:
    """Remembers resolutions of incidents that are not known here yet."""
    if not incident_ids:
        return None
    return Write(
        """
        INSERT INTO resolved_ahead (incident_id, noted_at)
        SELECT incident_id, $2 FROM unnest($1::uuid[]) AS incident_id
        ORDER BY incident_id
        ON CONFLICT DO NOTHING
        """,
        (list(incident_ids), now),
    )


async def load_early_resolutions(connection: Connection, ids: Collection[UUID]) -> set[UUID]:
    """Which of these incidents were resolved although they were never known here."""
    rows = await connection.fetch(
        "SELECT incident_id FROM resolved_ahead WHERE incident_id = ANY ($1::uuid[])", list(ids)
    )
    return {row["incident_id"] for row in rows}


async def end_expired_alerts(
    connection: Connection, incident_ids: Collection[UUID], before: datetime
) -> dict[UUID, tuple[int, datetime | None]]:
    """End the firing alerts whose `ends_at` lies before the given instant. By incident: how many
    alerts, and the next end.
    """
    rows = await connection.fetch(
        """
        WITH ended AS (
            UPDATE alerts SET firing = false
            WHERE incident_id = ANY ($1::uuid[]) AND firing AND ends_at <= $2
            RETURNING incident_id, stands_for
        )
        SELECT incident_id,
               (SELECT coalesce(sum(stands_for), 0) FROM ended
                WHERE ended.incident_id = wanted.incident_id) AS ended,
               (SELECT min(ends_at) FROM alerts
                WHERE alerts.incident_id = wanted.incident_id AND firing AND ends_at > $2
               ) AS next_end
        FROM unnest($1::uuid[]) AS wanted (incident_id)
        """,
        list(incident_ids),
        before,
    )
    return {row["incident_id"]: (row["ended"], row["next_end"]) for row in rows}
