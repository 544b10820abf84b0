"""SQL of integrations and their keys."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from services.intake.integrations.domain import (
    Integration,
    Settings,
    StoredKey,
    check_name,
    new_key,
)
from shared.postgres.connection import Connection

Known = tuple[StoredKey, Integration]
"""A key and whose it is."""

_KEY = "key_id, integration_keys.name, secret_hash, integration_keys.created_at, expires_at"


async def create_integration(
    connection: Connection, name: str, settings: Settings, now: datetime
) -> bool:
    """Make an integration without keys; False where there is one of that name. Raises ValueError
    for a name that could be mistaken for another sender's.
    """
    done = await connection.execute(
        """
        INSERT INTO integrations (name, settings, created_at) VALUES ($1, $2, $3)
        ON CONFLICT DO NOTHING
        """,
        check_name(name),
        _written(settings),
        now,
    )
    return done == "INSERT 0 1"


async def lock_integration(connection: Connection, name: str) -> list[StoredKey] | None:
    """The keys of an integration, oldest first, which nobody else makes or ends until the
    transaction is over; None where there is no such integration.
    """
    query = "SELECT FROM integrations WHERE name = $1 FOR UPDATE"
    if await connection.fetchrow(query, name) is None:
        return None
    rows = await connection.fetch(
        f"SELECT {_KEY} FROM integration_keys WHERE name = $1 ORDER BY created_at",  # noqa: S608
        name,
    )
    return [_key(row) for row in rows]


async def create_key(
    connection: Connection, name: str, lifetime: timedelta | None, now: datetime
) -> str:
    """Make a key and keep its hash; returns the key, which is seen whole this once. Makes the
    integration, too, with the defaults, where there is none. Raises ValueError as
    `create_integration`.
    """
    await create_integration(connection, name, Settings(), now)
    key, stored = new_key(name, lifetime, now)
    await connection.execute(
        """
        INSERT INTO integration_keys (key_id, name, secret_hash, created_at, expires_at)
        VALUES ($1, $2, $3, $4, $5)
        """,
        stored.key_id,
        stored.name,
        stored.secret_hash,
        now,
        stored.expires_at,
    )
    return key


async def load_keys(connection: Connection, key_ids: Collection[str]) -> dict[str, Known]:
    """Those of the keys that there are, by their public part."""
    rows = await connection.fetch(
        f"""
        SELECT {_KEY}, settings FROM integration_keys LEFT JOIN integrations USING (name)
        WHERE key_id = ANY ($1::text[])
        """,  # noqa: S608
        list(key_ids),
    )
    return {row["key_id"]: (_key(row), _integration(row)) for row in rows}


async def list_integrations(
    connection: Connection,
) -> Sequence[tuple[Integration, bool, list[StoredKey]]]:
    """All integrations by name: whether integrations.yaml has it, and its keys, oldest first."""
    keys: dict[str, list[StoredKey]] = {}
    for row in await connection.fetch(
        f"SELECT {_KEY} FROM integration_keys ORDER BY created_at"  # noqa: S608
    ):
        keys.setdefault(row["name"], []).append(_key(row))
    rows = await connection.fetch("SELECT name, settings, from_file FROM integrations")
    found = {row["name"]: (_integration(row), row["from_file"]) for row in rows}
    for name in keys.keys() - found.keys():
        found[name] = Integration(name=name), False
    return [(*found[name], keys.get(name, [])) for name in sorted(found)]


async def end_key(connection: Connection, key_id: str, at: datetime) -> None:
    """Let a key expire at an instant, unless it does so before."""
    await connection.execute(
        "UPDATE integration_keys SET expires_at = LEAST(expires_at, $2) WHERE key_id = $1",
        key_id,
        at,
    )


async def delete_keys(connection: Connection, key_ids: Collection[str]) -> int:
    """Revoke keys; returns how many there were."""
    done = await connection.execute(
        "DELETE FROM integration_keys WHERE key_id = ANY ($1::text[])", list(key_ids)
    )
    return int(done.rpartition(" ")[2])


async def apply_file(
    connection: Connection, integrations: Mapping[str, Settings], now: datetime
) -> None:
    """Make what integrations.yaml says true. An integration that is no longer in it keeps its keys
    and settings.
    """
    names = sorted(integrations)  # one order for all replicas, so that no two wait in a circle
    await connection.execute(
        "UPDATE integrations SET from_file = false WHERE from_file AND name <> ALL ($1::text[])",
        names,
    )
    await connection.execute(
        """
        INSERT INTO integrations (name, settings, from_file, created_at)
        SELECT name, settings, true, $3
        FROM unnest($1::text[], $2::jsonb[]) AS file (name, settings)
        ON CONFLICT (name) DO UPDATE SET settings = EXCLUDED.settings, from_file = true
        WHERE integrations.settings <> EXCLUDED.settings OR NOT integrations.from_file
        """,
        names,
        [_written(integrations[name]) for name in names],
        now,
    )


def _key(row: Any) -> StoredKey:
    return StoredKey(
        row["key_id"], row["name"], row["secret_hash"], row["created_at"], row["expires_at"]
    )


def _integration(row: Any) -> Integration:
    # An unknown key was stored by a newer version.
    settings = row["settings"] or {}
    return Integration.model_validate({**settings, "name": row["name"]}, extra="ignore")


def _written(settings: Settings) -> dict[str, Any]:
    return settings.model_dump(mode="json", exclude_defaults=True)
