"""Schemas come up to date once, whoever asks, and never over somebody's change."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from importlib import resources

import asyncpg
import pytest

from shared.postgres import migration_lock
from shared.postgres.migrate import OUTSIDE, Migration, MigrationError, list_migrations, migrate
from tests.support.running import eventually
from tests.support.stack import drop_database, name_of, on_database, runtime_dsn

NOTES = Migration("intake/0001_notes.sql", "CREATE TABLE notes (id integer PRIMARY KEY, body text)")
MARKS = Migration(
    "intake/0002_marks.sql",
    "CREATE TABLE marks (id integer REFERENCES notes); CREATE SEQUENCE tally",
)


@pytest.fixture
async def empty(postgres: str) -> AsyncIterator[str]:
    """Admin DSN of a database that nobody has migrated."""
    dsn = await _create(postgres)
    yield dsn
    await drop_database(postgres, name_of(dsn))


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits says so without a delay."""
    monkeypatch.setattr(migration_lock, "_FIRST_WORD_SECONDS", 0.0)


async def _create(postgres: str) -> str:
    name = f"empty_{uuid.uuid4().hex[:8]}"
    connection = await asyncpg.connect(postgres)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    return on_database(postgres, name)


async def _fetch(dsn: str, query: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        return list(await connection.fetch(query))
    finally:
        await connection.close()


async def test_a_second_run_finds_nothing_to_do(empty: str) -> None:
    applied = await migrate(empty, "intake")

    assert applied[0] == "plumbing/0001_plumbing.sql"
    assert applied == [migration.name for migration in list_migrations("intake")]
    assert await migrate(empty, "intake") == []


async def test_a_later_version_applies_only_its_new_files(empty: str) -> None:
    assert await migrate(empty, "intake", [NOTES]) == [NOTES.name]
    assert await migrate(empty, "intake", [NOTES, MARKS]) == [MARKS.name]


async def test_many_that_start_together_migrate_once(empty: str, postgres: str) -> None:
    other = await _create(postgres)
    try:
        applied = await asyncio.gather(
            *(migrate(dsn, "intake", [NOTES]) for dsn in (empty, other) * 4)
        )
    finally:
        await drop_database(postgres, name_of(other))

    assert sorted(applied) == [[]] * 6 + [[NOTES.name]] * 2


async def test_a_file_that_was_changed_after_it_was_applied_is_refused(empty: str) -> None:
    await migrate(empty, "intake", [NOTES])

    with pytest.raises(
        MigrationError, match=r"intake/0001_notes\.sql was changed .* put the file back .* new file"
    ):
        await migrate(empty, "intake", [Migration(NOTES.name, NOTES.sql + " "), MARKS])

    assert not await _fetch(empty, "SELECT FROM pg_tables WHERE tablename = 'marks'")


async def test_a_database_that_is_newer_is_refused(empty: str) -> None:
    await migrate(empty, "intake", [NOTES, MARKS])

    with pytest.raises(MigrationError, match=r"intake/0002_marks\.sql .* the database is newer"):
        await migrate(empty, "intake", [NOTES])


async def test_a_file_that_fails_leaves_nothing_behind_and_those_before_it_stay(empty: str) -> None:
    broken = Migration("intake/0002_broken.sql", "CREATE TABLE half (id integer); SELECT 1 / 0")

    with pytest.raises(MigrationError, match=r"intake/0002_broken\.sql failed .* division by zero"):
        await migrate(empty, "intake", [NOTES, broken])

    tables = await _fetch(
        empty, "SELECT tablename FROM pg_tables WHERE schemaname = 'intake' ORDER BY 1"
    )
    assert [row[0] for row in tables] == ["notes", "schema_migrations"]
    assert await migrate(empty, "intake", [NOTES, MARKS]) == [MARKS.name]


async def test_the_runtime_role_may_use_what_migrations_make_and_nothing_more(empty: str) -> None:
    await migrate(empty, "intake", [NOTES, MARKS])
    connection = await asyncpg.connect(runtime_dsn(empty, "intake"))
    try:
        await connection.execute("INSERT INTO notes VALUES (nextval('tally'), 'x')")
        await connection.execute("UPDATE notes SET body = 'y'; DELETE FROM notes")
        for forbidden in (
            "TRUNCATE notes",
            "DROP TABLE notes",
            "ALTER TABLE notes ADD COLUMN extra text",
            "CREATE TABLE own (id integer)",
            "CREATE TABLE public.own (id integer)",
            "CREATE TEMPORARY TABLE own (id integer)",
            "CREATE SCHEMA own",
            "SELECT setval('tally', 1)",
            "INSERT INTO schema_migrations VALUES ('forged', '')",
            "DELETE FROM schema_migrations",
            "SET ROLE tocsin_intake_owner",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(forbidden)
    finally:
        await connection.close()


async def test_the_runtime_role_cannot_hold_on_to_a_lock(empty: str) -> None:
    await migrate(empty, "intake", [NOTES])

    settings = dict(
        map(
            tuple,
            await _fetch(
                runtime_dsn(empty, "intake"),
                "SELECT name, setting FROM pg_settings"
                " WHERE name LIKE '%timeout' OR name = 'search_path'",
            ),
        )
    )

    assert settings["search_path"] == "intake"
    assert (settings["idle_in_transaction_session_timeout"], settings["lock_timeout"]) == (
        "5000",
        "5000",
    )
    assert settings["statement_timeout"] == "15000"


def test_the_files_are_part_of_the_packages() -> None:
    assert (resources.files("shared.postgres") / "plumbing" / "0001_plumbing.sql").is_file()
    for service in ("intake", "triage", "escalation", "reporting"):
        names = [migration.name for migration in list_migrations(service)]
        assert any(name.startswith(f"{service}/0001_") for name in names), service


async def test_whoever_waits_for_another_migration_says_for_whom_and_gives_up(
    empty: str, at_once: None
) -> None:
    settings = {"application_name": "tocsin triage migrate"}
    holder = await asyncpg.connect(empty, server_settings=settings)
    await holder.execute("SELECT pg_advisory_lock(hashtext('tocsin.migrate'))")
    pid, told = holder.get_server_pid(), list[str]()
    with pytest.raises(MigrationError) as refused:
        await migrate(empty, "intake", [NOTES], lock_seconds=0.3, tell=told.append)
    who = f"another migration: 'tocsin triage migrate', pid {pid}"
    assert str(refused.value).startswith(f"waited 0.3 s for {who}")
    assert f"pg_terminate_backend({pid})" in str(refused.value)
    assert [text for text in told if not text.startswith(f"waiting for {who}")] == []
    assert len(told) == 1
    waiting = asyncio.create_task(migrate(empty, "intake", [NOTES]))
    await holder.close()
    assert await waiting == [NOTES.name]


async def test_an_index_is_built_while_others_write_and_again_if_that_was_cut_short(
    empty: str, at_once: None
) -> None:
    index = Migration(
        "intake/0002_index.sql",
        f"{OUTSIDE}\n"
        "DROP INDEX CONCURRENTLY IF EXISTS notes_by_body;\n"
        "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS notes_by_body ON notes (body);\n",
    )
    await migrate(empty, "intake", [NOTES])
    writer = await asyncpg.connect(runtime_dsn(empty, "intake"))
    await writer.execute("INSERT INTO notes VALUES (1, 'twice'), (2, 'twice')")
    with pytest.raises(MigrationError, match="may have left a part behind; run `migrate` again"):
        await migrate(empty, "intake", [NOTES, index])
    await writer.execute("DELETE FROM notes WHERE id = 2")
    writing = writer.transaction()
    await writing.start()
    await writer.execute("UPDATE notes SET body = 'changed'")
    migrating = asyncio.create_task(migrate(empty, "intake", [NOTES, index]))
    await _builds(empty)
    other = await asyncpg.connect(runtime_dsn(empty, "intake"))
    await other.execute("INSERT INTO notes VALUES (3, 'meanwhile')")
    told: list[str] = []
    second = asyncio.create_task(migrate(empty, "intake", [NOTES, index], tell=told.append))
    await eventually("a second one waits", lambda: asyncio.sleep(0, bool(told)))
    assert "INDEX CONCURRENTLY" in told[0]
    await writing.commit()
    assert await migrating == [index.name], "whoever waits does not hold it up"
    assert await second == []
    query = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'intake.notes_by_body'::regclass"
    assert [row[0] for row in await _fetch(empty, query)] == [True]
    await writer.close()
    await other.close()


async def _builds(dsn: str) -> None:
    """Wait until the migration waits for a transaction that writes."""
    query = """
        SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND query LIKE '%INDEX CONCURRENTLY%'
          AND wait_event_type = 'Lock'
    """

    async def waiting() -> bool:
        return bool(await _fetch(dsn, query))

    await eventually("the migration waits", waiting)
