"""SQL of heartbeats. Whoever changes one holds the lock of its row, and locks incidents later."""

from collections.abc import Collection, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.intake.signals.domain import Heartbeat, HeartbeatSettings, Signal
from shared.postgres.connection import Connection
from shared.postgres.timers import Timer, timers_write
from shared.postgres.writes import Write, write_together

HEARTBEAT = "heartbeat"
"""Kind of the timer that looks at a heartbeat."""
_COLUMNS = ", ".join(field.name for field in fields(Heartbeat))
_NEW = ", ".join(f"EXCLUDED.{field.name}" for field in fields(Heartbeat))


async def lock_heartbeats(connection: Connection, names: Collection[str]) -> dict[str, Heartbeat]:
    """Heartbeats by name, locked; those that are being deleted too."""
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS} FROM heartbeats WHERE name = ANY ($1::text[])
        ORDER BY heartbeat_id FOR UPDATE
        """,  # noqa: S608 - column names of our own
        list(names),
    )
    return {row["name"]: _heartbeat(row) for row in rows}


async def lock_of_timers(
    connection: Connection, ids: Collection[UUID], now: datetime
) -> list[Heartbeat]:
    """Heartbeats whose timer is due, locked, without it; others have one that is yet to come."""
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS} FROM heartbeats WHERE heartbeat_id = ANY ($1::uuid[])
        ORDER BY heartbeat_id FOR UPDATE
        """,  # noqa: S608 - column names of our own
        list(ids),
    )
    found = map(_heartbeat, rows)
    return [
        replace(one, armed_at=None) for one in found if one.armed_at is None or one.armed_at <= now
    ]


async def lock_of_policy(connection: Connection) -> dict[str, Heartbeat]:
    """The heartbeats that the policy file manages, locked. One replica at a time gets them."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtext(current_schema || ' heartbeats'))"
    )
    names = await connection.fetch("SELECT name FROM heartbeats WHERE managed_by = 'policy'")
    return await lock_heartbeats(connection, [row["name"] for row in names])


async def list_heartbeats(connection: Connection, name: str | None = None) -> list[Heartbeat]:
    """All heartbeats by name, or the one of a name; none that is being deleted."""
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS} FROM heartbeats
        WHERE NOT removed AND ($1::text IS NULL OR name = $1) ORDER BY name
        """,  # noqa: S608 - column names of our own
        name,
    )
    return [_heartbeat(row) for row in rows]


async def load_known_beats(
    connection: Connection, signals: Sequence[Signal]
) -> set[tuple[str, str]]:
    """Which of these signals were taken before."""
    rows = await connection.fetch(
        """
        SELECT origin, signal_id FROM signals
        JOIN unnest($1::text[], $2::text[]) AS sent (origin, signal_id) USING (origin, signal_id)
        """,
        [signal.origin for signal in signals],
        [signal.signal_id for signal in signals],
    )
    return {(row["origin"], row["signal_id"]) for row in rows}


async def save_heartbeats(
    connection: Connection,
    heartbeats: Collection[Heartbeat],
    deleted: Collection[UUID],
    now: datetime,
    *others: Write | None,
) -> None:
    """Write heartbeats that are new or locked, with their timers, and other writes beside them.
    Conflict when another transaction made one of the same name first.
    """
    armed, timers = [], []
    for heartbeat in heartbeats:
        due_at, armed_at = heartbeat.due_at, heartbeat.armed_at
        if due_at and (armed_at is None or armed_at > due_at):
            timers.append(Timer(HEARTBEAT, heartbeat.heartbeat_id, due_at))
            armed.append(replace(heartbeat, armed_at=due_at))
        else:
            armed.append(heartbeat)
    await write_together(
        connection,
        [_heartbeats_write(armed), _deleted_write(deleted), timers_write(timers, now), *others],
    )


def _heartbeats_write(heartbeats: Sequence[Heartbeat]) -> Write | None:
    if not heartbeats:
        return None
    rows = [_row(one) for one in sorted(heartbeats, key=lambda one: one.heartbeat_id)]
    return Write(
        f"""
        INSERT INTO heartbeats ({_COLUMNS})
        SELECT {_COLUMNS} FROM jsonb_populate_recordset(NULL::heartbeats, $1::jsonb)
        ON CONFLICT (name) DO UPDATE SET ({_COLUMNS}) = ROW ({_NEW})
        WHERE heartbeats.heartbeat_id = EXCLUDED.heartbeat_id
        """,  # noqa: S608 - column names of our own
        (rows,),
        expected=len(rows),
    )


def _deleted_write(ids: Collection[UUID]) -> Write | None:
    if not ids:
        return None
    return Write("DELETE FROM heartbeats WHERE heartbeat_id = ANY ($1::uuid[])", (list(ids),))


def _row(heartbeat: Heartbeat) -> dict[str, Any]:
    values = {field.name: getattr(heartbeat, field.name) for field in fields(Heartbeat)}
    return values | {"settings": heartbeat.settings.model_dump(mode="json")}


def _heartbeat(row: Any) -> Heartbeat:
    settings = HeartbeatSettings.model_validate(row["settings"])
    return Heartbeat(**dict(row) | {"settings": settings})
