"""A database that keeps the text of what it is asked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from asyncpg.connection import LoggedQuery

from shared.postgres.connection import Connection
from shared.postgres.database import Database


class LoggedDatabase(Database):
    """A database that keeps the text of all statements, BEGIN and COMMIT included."""

    def __init__(self, dsn: str) -> None:
        super().__init__(dsn)
        self.statements: list[str] = []

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A pooled connection whose statements are kept."""
        async with super().connection() as connection:
            with connection.query_logger(self._note):
                yield connection
                await asyncio.sleep(0)  # loggers are called a moment later

    def taken(self) -> list[str]:
        """The statements since the last call."""
        statements, self.statements = self.statements, []
        return statements

    def _note(self, query: LoggedQuery) -> None:
        # asyncpg loads unknown types once per connection.
        if "typeinfo_tree" not in query.query and "current_setting('jit')" not in query.query:
            self.statements.append(query.query)
