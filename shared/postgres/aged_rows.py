"""How many rows a retention run would delete. It reads whole tables: for the command line only."""

from datetime import datetime

from shared.postgres.aging import Aging
from shared.postgres.connection import Connection


async def count_aged(connection: Connection, aging: Aging, older_than: datetime) -> int:
    """Of the kind's own table, without what belongs to these rows."""
    await connection.execute("SET LOCAL statement_timeout = 0")
    query = f"SELECT count(*) FROM {aging.table} WHERE {aging.too_old}"  # noqa: S608 - stores' SQL
    count: int = await connection.fetchval(query, older_than, timeout=600)
    return count
