"""Signals of many requests in one batch: round trips, races and deadlocks are not the senders'
concern.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import asyncpg
import pytest

from services.intake.incidents.store import incidents as store
from services.intake.signals.domain import ChangeData, Identity, Signal, Taken
from services.intake.signals.group_commit import GroupCommit
from shared.postgres.connection import Connection
from shared.telemetry import configure_telemetry, stop_telemetry
from shared.telemetry.export import collect
from shared.telemetry.exposition import expose
from shared.telemetry.metrics import STAGES
from tests.integration.intake.conftest import NOON, World, committing, fired
from tests.support.logged import LoggedDatabase
from tests.support.running import eventually
from tests.support.stack import runtime_dsn

CHANGE = Signal("probe", "change", NOON, NOON, None, ChangeData(summary="v41"))


@pytest.fixture
async def commit(world: World) -> AsyncIterator[GroupCommit]:
    handlers = world.handlers
    async with committing(world.database, handlers.take_new, handlers.take) as running:
        yield running


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Intake's metrics are recorded."""
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    configure_telemetry("intake")
    yield
    stop_telemetry()


def reports_measured() -> int:
    """How many incidents the histogram of stages has."""
    data = collect()
    assert data is not None
    text, _ = expose(data, "text/plain")
    name = f"{STAGES.prometheus}_count"
    return sum(
        int(float(line.split()[-1])) for line in text.decode().splitlines() if line.startswith(name)
    )


async def decisions(commit: GroupCommit, *signals: Signal) -> list[str]:
    return [taken.decision.value for taken in (await commit.submit("tests", signals)).values()]


async def outcome(world: World) -> list[tuple[str, int]]:
    """Status and count of signals of each incident."""
    rows = await world.rows("SELECT status, signal_count FROM incidents ORDER BY number")
    return [(row["status"], row["signal_count"]) for row in rows]


async def test_a_new_alert_is_two_statements_without_a_transaction_and_one_that_joins_has_locks(
    world: World,
) -> None:
    database, handlers = LoggedDatabase(runtime_dsn(world.admin, "intake")), world.handlers
    async with committing(database, handlers.take_new, handlers.take) as commit:
        assert await decisions(commit, fired("1")) == ["opened"]
        read, write = database.statements
        assert ("INSERT" in read, "INSERT" in write) == (False, True)

        database.statements.clear()
        assert await decisions(commit, fired("1")) == ["repeat"]
        assert len(database.statements) == 1, "what was taken before is only read"

        database.statements.clear()
        assert await decisions(commit, fired("2")) == ["joined"]
        _, begin, lock, members, write, end = database.statements
        assert (begin, end) == ("BEGIN;", "COMMIT;")
        assert "FOR UPDATE" in lock
        assert "FROM alerts" in members
        assert "UPDATE incidents" in write

        database.statements.clear()
        assert await decisions(commit, fired("3", status="resolved")) == ["cleared"]
        assert "BEGIN;" in database.statements, "an end changes an incident too"

        database.statements.clear()
        assert await decisions(commit, fired("4", status="resolved")) == ["nothing was open"]
        assert len(database.statements) == 2
    await database.close()


async def test_numbers_are_not_lost_when_a_batch_turns_out_to_need_a_transaction(
    world: World, commit: GroupCommit
) -> None:
    await decisions(commit, fired("1"))
    assert await decisions(commit, fired("2"), fired("3", "new")) == ["joined", "opened"]
    rows = await world.rows("SELECT number FROM incidents ORDER BY number")
    assert [row["number"] for row in rows] == [1000, 1001]


@pytest.mark.parametrize(
    ("first", "signal", "decision", "incidents"),
    [
        (fired("1"), fired("2"), "joined", [("open", 2)]),
        (fired("1"), fired("1"), "repeat", [("open", 1)]),
        (fired("1"), fired("2", "other"), "opened", [("open", 1), ("open", 1)]),
        (CHANGE, CHANGE, "repeat", []),
    ],
)
async def test_what_is_opened_between_reading_and_writing_is_met_in_a_transaction(
    world: World,
    commit: GroupCommit,
    measured: None,
    monkeypatch: pytest.MonkeyPatch,
    first: Signal,
    signal: Signal,
    decision: str,
    incidents: list[tuple[str, int]],
) -> None:
    read = store.read_for_new

    async def read_and_wait(
        connection: Connection, signals: Sequence[Signal], *others: Any
    ) -> store.Loaded:
        loaded = await read(connection, signals, *others)
        await world.take(first)
        return loaded

    monkeypatch.setattr(store, "read_for_new", read_and_wait)
    assert await decisions(commit, signal) == [decision]
    assert reports_measured() == len(incidents), "the attempt that failed counts for nothing"
    assert await outcome(world) == incidents
    reported = [event["subject"] for kind, event in await world.outbox()]
    assert len(reported) == len(set(reported)) == max(len(incidents), 1), "no trace of the attempt"


@pytest.mark.parametrize(
    ("commits", "decision", "count"), [(True, "joined", 2), (False, "opened", 1)]
)
async def test_a_write_waits_for_another_that_opens_the_same(
    world: World, commit: GroupCommit, commits: bool, decision: str, count: int
) -> None:
    async with world.database.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await world.handlers.take(connection, [fired("1")])
        waiting = asyncio.create_task(decisions(commit, fired("2")))
        await eventually("the write waits", lambda: blocked(world))
        await (transaction.commit() if commits else transaction.rollback())
    assert await waiting == [decision]
    assert await outcome(world) == [("open", count)]


async def test_a_process_that_dies_while_it_writes_leaves_nothing(
    world: World, commit: GroupCommit
) -> None:
    async with world.database.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await world.handlers.take(connection, [fired("1")])
        waiting = asyncio.create_task(decisions(commit, fired("2")))
        for row in await eventually("the write waits", lambda: blocked(world)):
            await connection.execute("SELECT pg_terminate_backend($1)", row["pid"])
        with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InterfaceError)):
            await waiting
        await transaction.rollback()
    for table in ("signals", "incidents", "alerts", "outbox", "timers"):
        assert await world.rows(f"SELECT FROM {table}") == []
    assert await decisions(commit, fired("2")) == ["opened"], (
        "its sender got no answer, and repeats"
    )


async def blocked(world: World) -> list[dict[str, object]]:
    return await world.rows(
        "SELECT pid FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )


async def test_processes_that_open_the_same_at_once_make_one_incident(world: World) -> None:
    async def process(name: str) -> list[str]:
        handlers = world.handlers
        async with committing(world.database, handlers.take_new, handlers.take) as commit:
            taken = []
            for number in range(20):
                taken += await decisions(commit, fired(f"{number}", f"key {number}"))
                taken += await decisions(commit, fired(f"{name} {number}", f"key {number}"))
            return taken

    taken = [one for some in await asyncio.gather(process("a"), process("b")) for one in some]
    assert sorted(taken) == ["joined"] * 40 + ["opened"] * 20 + ["repeat"] * 20
    assert await outcome(world) == [("open", 3)] * 20


async def test_a_resolution_that_came_before_its_signal_keeps_it_from_opening(
    world: World, commit: GroupCommit
) -> None:
    await world.resolved(seen=1, incident_id=fired("1").subject)
    assert await decisions(commit, fired("1")) == ["repeat"]
    assert await outcome(world) == []


@pytest.mark.parametrize("transaction", [False, True])
async def test_a_deadlock_between_writers_costs_senders_nothing(
    world: World, transaction: bool
) -> None:
    victims = ["the first of them"]
    handlers = world.handlers

    async def unlucky(
        connection: Connection, signals: Sequence[Signal]
    ) -> Mapping[Identity, Taken]:
        if victims and not connection.is_in_transaction():
            raise asyncpg.DeadlockDetectedError(victims.pop())
        taken = await handlers.take(connection, signals)
        if victims:
            raise asyncpg.DeadlockDetectedError(victims.pop())
        return taken

    take_new = handlers.take_new if transaction else unlucky
    if transaction:
        await world.take(fired("0"))
    async with committing(world.database, take_new, unlucky) as commit:
        expected = "joined" if transaction else "opened"
        assert await decisions(commit, fired("1")) == [expected]
    assert not victims
