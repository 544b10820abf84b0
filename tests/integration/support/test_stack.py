"""Each test has a database of its own."""

import asyncpg


async def test_each_test_has_a_migrated_database_of_its_own(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        schemas = {
            row["nspname"] for row in await connection.fetch("SELECT nspname FROM pg_namespace")
        }
        await connection.execute("CREATE TABLE mark (id int)")
    finally:
        await connection.close()

    assert schemas >= {"intake", "triage", "escalation", "reporting"}


async def test_what_one_test_wrote_another_does_not_see(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        assert await connection.fetchval("SELECT to_regclass('mark')") is None
    finally:
        await connection.close()
