"""A program waits for the migrations that it needs, and for no others."""

import pytest

from shared.postgres.database import Database
from shared.postgres.errors import UNAVAILABLE, SchemaBehind
from shared.postgres.migrate import names_of_migrations
from shared.postgres.ping import ping
from tests.support.stack import runtime_dsn


async def test_a_schema_that_lacks_a_migration_is_unavailable_and_says_which(database: str) -> None:
    needs = [*names_of_migrations("intake"), "intake/9001_later.sql", "intake/9002_last.sql"]
    behind = Database(runtime_dsn(database, "intake"), needs=needs)

    with pytest.raises(
        SchemaBehind, match=r"waits for 2 migrations, intake/9001_later\.sql first: run `migrate`"
    ):
        await ping(behind)

    assert issubclass(SchemaBehind, UNAVAILABLE)
    await behind.close()


async def test_a_schema_with_more_than_that_is_fine(database: str) -> None:
    older = Database(runtime_dsn(database, "intake"), needs=names_of_migrations("intake")[:-1])

    await ping(older)

    await older.close()
