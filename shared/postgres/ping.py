"""Whether Postgres answers."""

from shared.postgres.database import Database


async def ping(database: Database) -> None:
    """Raises whatever keeps it from answering."""
    async with database.connection() as connection:
        await connection.execute("SELECT 1")
