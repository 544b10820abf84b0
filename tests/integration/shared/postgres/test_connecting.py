"""Every connection of the program: TLS to a server that proves who it is, passwords from files that
change, several hosts of which one takes writes.
"""

import asyncio
import ssl
from pathlib import Path

import asyncpg
import pytest

from shared.postgres.connecting import connect
from shared.postgres.database import Database
from shared.postgres.errors import UNAVAILABLE
from shared.postgres.leadership import compete
from shared.postgres.wake import Wake
from tests.support.certificates import authority
from tests.support.proxies import proxy
from tests.support.running import eventually, free_port
from tests.support.secured import Secured
from tests.support.stack import runtime_dsn


async def ask(database: Database) -> object:
    async with database.connection() as connection:
        return await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")


async def test_all_connections_of_a_service_are_encrypted(secured: Secured, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("one\n")
    dsn = secured.dsn("tocsin_intake", password_file=password)
    database, wake = Database(dsn), Wake(dsn, "intake")
    listening = asyncio.create_task(wake.run())
    try:
        async with compete(dsn, "intake relay", "intake.outbox"):
            assert await ask(database)
            await eventually("listening", lambda: asyncio.sleep(0, not wake.problems()))
            admin = await asyncpg.connect(secured.admin)
            sessions = await admin.fetch(
                "SELECT application_name, ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
                " WHERE usename = 'tocsin_intake'"
            )
            await admin.close()
    finally:
        listening.cancel()
        await database.close()
    assert {"tocsin", "intake wake", "intake relay"} <= {row[0] for row in sessions}
    assert all(row["ssl"] for row in sessions)


async def test_a_server_that_does_not_prove_its_name_is_refused(
    secured: Secured, tmp_path: Path
) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=r"127\.0\.0\.1"):
        await connect(secured.dsn("tocsin_intake", "127.0.0.1", password="one"), "tests")

    other = authority(tmp_path / "other").path
    dsn = secured.dsn("tocsin_intake", password="one", sslrootcert=other)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"self-signed|unable to get"):
        await connect(dsn, "tests")


async def test_a_password_that_changes_needs_no_restart(secured: Secured, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("one")
    dsn = secured.dsn("tocsin_intake", password_file=password)
    database = Database(dsn)
    try:
        await ask(database)
        await secured.set_passwords(tocsin_intake="two")
        assert await ask(database), "what is connected stays so"
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncio.gather(*(ask(database) for _ in range(2)))

        password.write_text("two")
        assert all(await asyncio.gather(*(ask(database) for _ in range(3))))
    finally:
        await database.close()
        await secured.set_passwords(tocsin_intake="one")


async def test_a_missing_password_file_is_named_and_waited_for(secured: Secured) -> None:
    dsn = secured.dsn("tocsin_intake", password_file="/nowhere/password")
    with pytest.raises(UNAVAILABLE, match="/nowhere/password"):
        await connect(dsn, "tests")


async def test_of_several_hosts_one_that_takes_writes_is_used_whichever_are_away(
    database: str,
) -> None:
    intake = runtime_dsn(database, "intake")
    async with proxy(intake) as (dead, _), proxy(intake) as (live, dsn):
        dead.forwards = False  # it takes connections and never answers
        for hosts in (
            f"127.0.0.1:{dead.port},127.0.0.1:{live.port}",
            f"127.0.0.1:{live.port},127.0.0.1:{dead.port}",
            f"127.0.0.1:{free_port()},127.0.0.1:{live.port}",
        ):
            connection = await connect(dsn.replace(f"127.0.0.1:{live.port}", hosts), "tests")
            assert await connection.fetchval("SELECT current_user") == "tocsin_intake"
            await connection.close()


async def test_a_server_that_takes_no_writes_any_more_is_left(
    database: str, intake: Database
) -> None:
    async with intake.connection() as connection:
        first = await connection.fetchval("SELECT pg_backend_pid()")
        await connection.execute("SET default_transaction_read_only = on")
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        async with intake.transaction() as connection:
            await connection.execute("INSERT INTO policies VALUES ('a', '1', '')")
    async with intake.transaction() as connection:
        await connection.execute("INSERT INTO policies VALUES ('a', '1', '')")
        assert await connection.fetchval("SELECT pg_backend_pid()") != first
