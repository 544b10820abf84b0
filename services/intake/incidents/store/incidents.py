"""SQL of incidents. Whoever changes an incident holds the lock of its row."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from services.intake.incidents.domain.grouping import Grouped
from services.intake.incidents.domain.incident import Incident
from services.intake.incidents.domain.meeting import fingerprints_of
from services.intake.signals.domain import NeedsLocks, Signal
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
# When incidents of a fingerprint began: its newest one that is over tells.
_BEFORE = """(
        SELECT jsonb_object_agg(fingerprint, episodes)
        FROM unnest($5::text[]) AS fired (fingerprint) CROSS JOIN LATERAL (
            SELECT episodes FROM incidents AS ended
            WHERE ended.fingerprint = fired.fingerprint AND status <> 'open'
            ORDER BY opened_at DESC LIMIT 1
        ) AS newest
    )"""
# How many incidents of a service are open, counted up to a limit.
_COUNTS = """(
        SELECT jsonb_object_agg(service, opened) FROM (
            SELECT service, (SELECT count(*) FROM (
                SELECT FROM incidents AS one
                WHERE one.service = wanted.service AND status = 'open' LIMIT $8
            ) AS counted) AS opened
            FROM unnest($7::text[]) AS wanted (service)
        ) AS counts
    )"""
_LOCK_FOR_SIGNALS = f"""{_KNOWN}, opened AS (
        SELECT {_SELECTED} FROM incidents
        WHERE status = 'open' AND incident_id = ANY (ARRAY(
            SELECT incident_id FROM incidents
            WHERE fingerprint = ANY ($4::text[]) AND status = 'open' AND takes_more
            UNION ALL
            SELECT incident_id FROM alerts WHERE identity = ANY ($6::text[]) AND firing
        ))  -- an array, not IN: that would read all open incidents, as planned for a young table
        ORDER BY incident_id FOR UPDATE
    ), batch AS (
        SELECT {EPOCH} AS epoch, ARRAY(SELECT place FROM known) AS known, ARRAY(
            SELECT nextval('incident_numbers') FROM unnest($5::text[]) AS fired (fingerprint)
            WHERE NOT EXISTS (SELECT FROM opened WHERE opened.fingerprint = fired.fingerprint)
        ) AS numbers, {_BEFORE} AS before, {_COUNTS} AS counts
    )
    SELECT epoch, incident.*,
           CASE WHEN nth IS NULL OR nth = 1 THEN known END AS known,
           CASE WHEN nth IS NULL OR nth = 1 THEN numbers END AS numbers,
           CASE WHEN nth IS NULL OR nth = 1 THEN before END AS before,
           CASE WHEN nth IS NULL OR nth = 1 THEN counts END AS counts
    FROM batch LEFT JOIN (SELECT row_number() OVER () AS nth, * FROM opened) AS incident ON true
    ORDER BY nth
"""  # noqa: S608 - column names of our own
# Without FOR UPDATE: a lock that ends with its statement protects nothing, and costs a WAL flush.
_READ_FOR_NEW = f"""{_KNOWN}, opened AS MATERIALIZED (
        SELECT FROM incidents
        WHERE fingerprint = ANY ($4::text[]) AND status = 'open' AND takes_more
        UNION ALL
        SELECT FROM alerts WHERE identity = ANY ($6::text[]) AND firing
    )
    SELECT {EPOCH} AS epoch, ARRAY(SELECT place FROM known) AS known,
           EXISTS (SELECT FROM opened) AS met,
           ARRAY(SELECT nextval('incident_numbers') FROM unnest($5::text[])
                 WHERE NOT EXISTS (SELECT FROM opened)) AS numbers,
           {_BEFORE} AS before, {_COUNTS} AS counts
"""  # noqa: S608 - column names of our own


@dataclass(frozen=True, slots=True)
class Count:
    """Services whose open incidents are to be counted, up to a limit."""

    services: Collection[str] = ()
    limit: int = 0


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a batch of signals meets. `known` are the places, from 1, of signals that were taken
    before; `numbers` are enough for one incident for each new fingerprint; `episodes` are those of
    the incidents before; `open_counts` are of the services that were to be counted.
    """

    epoch: int
    known: Collection[int]
    numbers: Sequence[int]
    open: Sequence[Incident]
    episodes: Mapping[str, Sequence[str]]
    open_counts: Mapping[str, int]


async def lock_for_signals(
    connection: Connection, signals: Sequence[Signal], items: Collection[Grouped], count: Count
) -> Loaded:
    """Find the signals that were taken before (still remembered, or past the window but their
    incident exists or is over), and lock the open incidents of the alerts.
    """
    first, *_ = rows = await connection.fetch(_LOCK_FOR_SIGNALS, *_sought(signals, items, count))
    found = [_incident(row) for row in rows if row["incident_id"]]
    return _loaded(first, found)


async def read_for_new(
    connection: Connection, signals: Sequence[Signal], items: Collection[Grouped], count: Count
) -> Loaded:
    """`lock_for_signals` for signals that need no lock, because none that is new meets an open
    incident. Raises NeedsLocks otherwise.
    """
    (row,) = await connection.fetch(_READ_FOR_NEW, *_sought(signals, items, count))
    loaded = _loaded(row, [])
    if row["met"] and len(loaded.known) < len(signals):
        raise NeedsLocks
    return loaded


def _loaded(row: Any, found: Sequence[Incident]) -> Loaded:
    return Loaded(
        row["epoch"],
        set(row["known"]),
        row["numbers"],
        found,
        episodes=row["before"] or {},
        open_counts=row["counts"] or {},
    )


def _sought(signals: Sequence[Signal], items: Collection[Grouped], count: Count) -> tuple[Any, ...]:
    return (
        [signal.origin for signal in signals],
        [signal.signal_id for signal in signals],
        [signal.subject for signal in signals],
        list(fingerprints_of(items)),
        list({item.fingerprint for item in items if item.fires}),
        list({item.identity for item in items}),
        list(count.services),
        count.limit,
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


async def load_incident(connection: Connection, reference: UUID | int) -> Incident | None:
    """One incident for reading, by its id, or the newest with that number."""
    column = "number" if isinstance(reference, int) else "incident_id"
    row = await connection.fetchrow(
        f"""
        SELECT {_SELECTED} FROM incidents WHERE {column} = $1
        ORDER BY opened_at DESC LIMIT 1
        """,  # noqa: S608 - column names of our own
        reference,
    )
    return _incident(row) if row else None


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
