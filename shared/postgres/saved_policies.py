"""The last good version of each policy file, for a start with a bad one."""

from shared.postgres.connection import Connection


async def save_policy(connection: Connection, name: str, version: str, text: str) -> None:
    """Keep this version in place of the one before."""
    await connection.execute(
        """
        INSERT INTO policies (name, version, text) VALUES ($1, $2, $3)
        ON CONFLICT (name) DO UPDATE SET version = $2, text = $3, saved_at = now()
        WHERE policies.version <> $2
        """,
        name,
        version,
        text,
    )


async def load_saved_policy(connection: Connection, name: str) -> str | None:
    """Its text, if one was saved."""
    text: str | None = await connection.fetchval("SELECT text FROM policies WHERE name = $1", name)
    return text


async def load_saved_policies(connection: Connection) -> dict[str, bytes]:
    """The texts of all files that are in force, by name."""
    rows = await connection.fetch("SELECT name, text FROM policies")
    return {row["name"]: row["text"].encode() for row in rows}
