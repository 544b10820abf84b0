"""SQL of integration keys."""

from datetime import datetime, timedelta

from services.intake.keys.domain import StoredKey, new_key
from shared.postgres.connection import Connection


async def create_key(
    connection: Connection, name: str, lifetime: timedelta | None, now: datetime
) -> str:
    """Make a key and keep its hash; returns the key, which is seen whole this once. Raises
    ValueError for a name that could be mistaken for another sender's.
    """
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


async def load_key(connection: Connection, key_id: str) -> StoredKey | None:
    """A key by its public part."""
    query = "SELECT key_id, name, secret_hash, expires_at FROM integration_keys WHERE key_id = $1"
    row = await connection.fetchrow(query, key_id)
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
