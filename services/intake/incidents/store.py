"""All SQL of intake. Every function takes a connection inside the caller's transaction and works on
whole sets.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from services.intake.incidents.domain.state import Incident, Member
from services.intake.signals.domain import Signal
from shared.postgres.connection import Connection
from shared.postgres.errors import Conflict


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key's row: the name of its integration, and what proves the secret."""

    key_id: str
    name: str
    secret_hash: bytes
    expires_at: datetime | None


_COLUMNS = ", ".join(field.name for field in fields(Incident))


async def load_known(connection: Connection, signals: Sequence[Signal]) -> set[tuple[str, str]]:
    """Which signals were taken before: still remembered, or past the window but their incident
    exists, or over.
    """
    # Three joins, not an OR: that would look through whole tables as soon as it thinks them small.
    rows = await connection.fetch(
        """
        WITH sent AS (SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[]) AS sent (origin, signal_id, subject))
        SELECT origin, signal_id FROM sent JOIN signals USING (origin, signal_id)
        UNION
        SELECT sent.origin, sent.signal_id FROM sent JOIN incidents ON incidents.incident_id = sent.subject
        UNION
        SELECT sent.origin, sent.signal_id FROM sent JOIN resolved_ahead ON resolved_ahead.incident_id = sent.subject
        """,
        [signal.origin for signal in signals],
        [signal.signal_id for signal in signals],
        [signal.subject for signal in signals],
    )
    return {(row["origin"], row["signal_id"]) for row in rows}


async def insert_signals(
    connection: Connection, decided: Sequence[tuple[Signal, str, UUID | None]], now: datetime
) -> None:
    """Log each signal with what became of it. Raises Conflict when another transaction logged one
    first.
    """
    inserted = await connection.fetchval(
        """
        WITH inserted AS (
            INSERT INTO signals (origin, signal_id, received_at, decision, subject)
            SELECT origin, signal_id, $5, decision, subject
            FROM unnest($1::text[], $2::text[], $3::text[], $4::uuid[]) AS s (origin, signal_id, decision, subject)
            ORDER BY origin, signal_id  -- one order for all writers, so that no two wait for each other
            ON CONFLICT DO NOTHING
            RETURNING 1
        )
        SELECT count(*) FROM inserted
        """,
        [signal.origin for signal, _, _ in decided],
        [signal.signal_id for signal, _, _ in decided],
        [decision for _, decision, _ in decided],
        [subject for _, _, subject in decided],
        now,
    )
    if inserted != len(decided):
        raise Conflict("a signal was logged by another transaction")


async def lock_open_incidents(
    connection: Connection, fingerprints: Collection[str]
) -> dict[str, Incident]:
    """The open incidents of the fingerprints, locked in order of id."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM incidents WHERE fingerprint = ANY($1) AND status = 'open' "  # noqa: S608
        "ORDER BY incident_id FOR UPDATE",
        list(fingerprints),
    )
    return {row["fingerprint"]: _incident(row) for row in rows}


async def lock_incidents(
    connection: Connection, incident_ids: Collection[UUID]
) -> dict[UUID, Incident]:
    """Incidents by id, locked in order of id; unknown ids are left out."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM incidents WHERE incident_id = ANY($1) ORDER BY incident_id FOR UPDATE",  # noqa: S608
        list(incident_ids),
    )
    return {row["incident_id"]: _incident(row) for row in rows}


def _incident(row: Any) -> Incident:
    return Incident(**dict(row))


async def load_members(
    connection: Connection, wanted: Collection[tuple[UUID, str]]
) -> dict[tuple[UUID, str], Member]:
    """The alerts (incident, alert key) that are known. Read after their incidents are locked, never
    in one statement with the lock: a statement that waited still sees the alerts as they were
    before it waited.
    """
    rows = await connection.fetch(
        """
        SELECT incident_id, alert_key, firing, ends_at
        FROM alerts JOIN unnest($1::uuid[], $2::text[]) AS wanted (incident_id, alert_key)
             USING (incident_id, alert_key)
        """,
        [incident_id for incident_id, _ in wanted],
        [key for _, key in wanted],
    )
    return {
        (row["incident_id"], row["alert_key"]): Member(row["firing"], row["ends_at"])
        for row in rows
    }


async def take_numbers(connection: Connection, count: int) -> Iterator[int]:
    """The next short numbers for people."""
    if count == 0:
        return iter(())
    rows = await connection.fetch(
        "SELECT nextval('incident_numbers') AS number FROM generate_series(1, $1)", count
    )
    return iter([row["number"] for row in rows])


async def update_incidents(connection: Connection, incidents: Iterable[Incident]) -> None:
    """Write incidents back over their rows, which the caller has locked."""
    rows = list(incidents)
    if rows:
        await connection.execute(
            f"""
            UPDATE incidents SET ({_COLUMNS}) = ROW ({", ".join("new." + f.name for f in fields(Incident))})
            FROM jsonb_populate_recordset(NULL::incidents, $1) AS new
            WHERE incidents.incident_id = new.incident_id
            """,  # noqa: S608 - column names of our own
            rows,
        )


async def insert_incidents(connection: Connection, incidents: Iterable[Incident]) -> None:
    """Add incidents. Raises Conflict when another transaction has opened one for a fingerprint."""
    rows = sorted(incidents, key=lambda incident: incident.fingerprint)
    if not rows:
        return
    # In order of fingerprint: two transactions that open the same ones wait, and neither for the
    # other.
    done = await connection.execute(
        f"""
        INSERT INTO incidents ({_COLUMNS})
        SELECT {_COLUMNS} FROM jsonb_populate_recordset(NULL::incidents, $1)
        ON CONFLICT DO NOTHING
        """,  # noqa: S608 - column names of our own
        rows,
    )
    if done != f"INSERT 0 {len(rows)}":
        raise Conflict("an incident was opened by another transaction")


async def save_members(connection: Connection, members: Mapping[tuple[UUID, str], Member]) -> None:
    """Write alerts of locked incidents."""
    if members:
        await connection.execute(
            """
            INSERT INTO alerts (incident_id, alert_key, firing, ends_at)
            SELECT * FROM unnest($1::uuid[], $2::text[], $3::boolean[], $4::timestamptz[])
            ON CONFLICT (incident_id, alert_key) DO UPDATE SET firing = EXCLUDED.firing, ends_at = EXCLUDED.ends_at
            """,
            [incident_id for incident_id, _ in members],
            [key for _, key in members],
            [member.firing for member in members.values()],
            [member.ends_at for member in members.values()],
        )


async def copy_firing_members(connection: Connection, successors: Mapping[UUID, UUID]) -> None:
    """Let each new incident (value) start with the alerts that fire in the one it follows (key)."""
    if successors:
        await connection.execute(
            """
            INSERT INTO alerts (incident_id, alert_key, firing, ends_at)
            SELECT successor, alert_key, firing, ends_at
            FROM alerts JOIN unnest($1::uuid[], $2::uuid[]) AS pair (incident_id, successor) USING (incident_id)
            WHERE firing
            """,
            list(successors),
            list(successors.values()),
        )


async def insert_resolved_ahead(
    connection: Connection, incident_ids: Collection[UUID], now: datetime
) -> None:
    """Remember that incidents are over which are not known here yet."""
    if incident_ids:
        await connection.execute(
            """
            INSERT INTO resolved_ahead (incident_id, noted_at)
            SELECT incident_id, $2 FROM unnest($1::uuid[]) AS incident_id
            ORDER BY incident_id
            ON CONFLICT DO NOTHING
            """,
            list(incident_ids),
            now,
        )


async def load_resolved_ahead(connection: Connection, incident_ids: Collection[UUID]) -> set[UUID]:
    """Which of these incidents are over although they were never known here."""
    rows = await connection.fetch(
        "SELECT incident_id FROM resolved_ahead WHERE incident_id = ANY ($1::uuid[])",
        list(incident_ids),
    )
    return {row["incident_id"] for row in rows}


async def end_expired_alerts(
    connection: Connection, incident_ids: Collection[UUID], before: datetime
) -> dict[UUID, tuple[int, datetime | None]]:
    """End the firing alerts whose `ends_at` lies before the given instant. By incident: how many,
    and the next end.
    """
    rows = await connection.fetch(
        """
        WITH ended AS (
            UPDATE alerts SET firing = false
            WHERE incident_id = ANY($1) AND firing AND ends_at <= $2
            RETURNING incident_id
        )
        SELECT incident_id,
               (SELECT count(*) FROM ended WHERE ended.incident_id = wanted.incident_id) AS ended,
               (SELECT min(ends_at) FROM alerts
                WHERE alerts.incident_id = wanted.incident_id AND firing AND ends_at > $2) AS next_end
        FROM unnest($1::uuid[]) AS wanted (incident_id)
        """,
        list(incident_ids),
        before,
    )
    return {row["incident_id"]: (row["ended"], row["next_end"]) for row in rows}


async def delete_old_signals(connection: Connection, before: datetime, limit: int = 10_000) -> int:
    """Forget at most `limit` signals received before the given instant; returns how many rows went."""
    # In pieces: a backlog that takes longer than a statement may would never become smaller.
    done = await connection.execute(
        """
        DELETE FROM signals
        WHERE ctid = ANY (ARRAY(SELECT ctid FROM signals WHERE received_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED))
        """,
        before,
        limit,
    )
    return int(done.split()[1])


async def delete_resolved_ahead(connection: Connection, before: datetime) -> None:
    """Forget ends that were read ahead before the given instant: what began them has been read
    again since.
    """
    await connection.execute("DELETE FROM resolved_ahead WHERE noted_at < $1", before)


async def insert_key(connection: Connection, key: StoredKey, now: datetime) -> None:
    """Add an integration key."""
    await connection.execute(
        "INSERT INTO integration_keys (key_id, name, secret_hash, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
        key.key_id,
        key.name,
        key.secret_hash,
        now,
        key.expires_at,
    )


async def load_key(connection: Connection, key_id: str) -> StoredKey | None:
    """A key by its public part."""
    row = await connection.fetchrow(
        "SELECT key_id, name, secret_hash, expires_at FROM integration_keys WHERE key_id = $1",
        key_id,
    )
    return StoredKey(**dict(row)) if row else None


async def list_keys(connection: Connection) -> list[StoredKey]:
    """All keys, oldest first."""
    rows = await connection.fetch(
        "SELECT key_id, name, secret_hash, expires_at FROM integration_keys ORDER BY created_at"
    )
    return [StoredKey(**dict(row)) for row in rows]


async def delete_key(connection: Connection, key_id: str) -> bool:
    """Revoke a key; False when there is none."""
    done = await connection.execute("DELETE FROM integration_keys WHERE key_id = $1", key_id)
    return done == "DELETE 1"
