"""Which processes run a service, as they say themselves."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.postgres.connection import Connection

SEEN_EVERY = timedelta(seconds=30)
_FORGOTTEN_AFTER = 3 * SEEN_EVERY


@dataclass(frozen=True, slots=True)
class Replica:
    """`policies` has the version of each policy file in force there. `ahead` is how far its clock
    is ahead of the database's, in seconds, a network's delay aside.
    """

    name: str
    version: str
    policies: Mapping[str, str]
    started_at: datetime
    ahead: float = 0.0


async def save_replica(connection: Connection, replica: Replica, clock: datetime) -> None:
    """Say that it runs, and forget those that have said nothing for long."""
    await connection.execute(
        """
        WITH forgotten AS (DELETE FROM replicas WHERE seen_at < now() - $6::interval AND name <> $1)
        INSERT INTO replicas (name, version, policies, clock, started_at, seen_at)
        VALUES ($1, $2, $3, $4, $5, clock_timestamp())
        ON CONFLICT (name) DO UPDATE
        SET (version, policies, clock, started_at, seen_at)
          = (EXCLUDED.version, EXCLUDED.policies, EXCLUDED.clock, EXCLUDED.started_at,
             EXCLUDED.seen_at)
        """,
        replica.name,
        replica.version,
        dict(replica.policies),
        clock,
        replica.started_at,
        _FORGOTTEN_AFTER,
    )


async def delete_replica(connection: Connection, name: str) -> None:
    """It ends."""
    await connection.execute("DELETE FROM replicas WHERE name = $1", name)


async def list_replicas(connection: Connection) -> list[Replica]:
    """Those that run now, by name."""
    rows = await connection.fetch(
        """
        SELECT name, version, policies, started_at,
               extract(epoch FROM clock - seen_at)::float AS ahead
        FROM replicas WHERE seen_at > now() - $1::interval ORDER BY name
        """,
        _FORGOTTEN_AFTER,
    )
    return [Replica(**dict(row)) for row in rows]
