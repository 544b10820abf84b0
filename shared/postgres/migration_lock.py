"""One migration at a time in a database: who waits says for whom, and not for ever."""

import asyncio
from collections.abc import Callable

from shared.postgres.connection import Connection

_NUMBER = "hashtext('tocsin.migrate')"
_FIRST_WORD_SECONDS, _NEXT_WORD_SECONDS = 2.0, 10.0
_LONGEST_PAUSE_SECONDS = 0.5
_HOLDER = f"""
    SELECT pid, application_name, client_addr, query,
           to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS since
    FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND objsubid = 1
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (classid::bigint << 32 | objid::bigint) = {_NUMBER}::bigint
"""  # noqa: S608


class LockHeld(Exception):
    """Another migration has the lock; the text says which, and what to do."""


async def take_lock(connection: Connection, seconds: float, tell: Callable[[str], None]) -> None:
    """Take the lock, which is held to the end of the session: of several that start together, one
    migrates and the others find it done. `tell` is told whom it waits for. Raises LockHeld after
    `seconds`.
    """
    loop = asyncio.get_running_loop()
    began, next_word = loop.time(), _FIRST_WORD_SECONDS
    # It asks again and again: a statement that waits would have a snapshot, and an index that the
    # other one builds beside running services waits for the end of all older snapshots.
    while not await connection.fetchval(f"SELECT pg_try_advisory_lock({_NUMBER})"):
        waited = loop.time() - began
        if waited >= seconds:
            raise LockHeld(
                f"waited {seconds:g} s for another migration: {await _holder(connection)}"
            )
        if waited >= next_word:
            next_word += _NEXT_WORD_SECONDS
            tell(f"waiting for another migration: {await _holder(connection)}")
        await asyncio.sleep(min(0.05 + waited / 4, _LONGEST_PAUSE_SECONDS, seconds - waited))


async def _holder(connection: Connection) -> str:
    row = await connection.fetchrow(_HOLDER)
    if row is None:
        return "it has ended just now"
    address = f" from {row['client_addr']}" if row["client_addr"] else ""
    doing = " ".join((row["query"] or "unknown").split())[:200]
    return (
        f"{row['application_name'] or 'a session'!r}, pid {row['pid']}{address}, connected since "
        f"{row['since']} UTC, last statement: {doing}; if it hangs, end it with "
        f"SELECT pg_terminate_backend({row['pid']})"
    )
