"""Intake against hostile and late input on real Postgres: nothing stalls, nothing is lost, each
fault costs itself.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import aiohttp
import asyncpg
import orjson
import pytest

from services.intake.gateways.http import create_api
from services.intake.handlers import Intake, Taken
from services.intake.incidents import store as intake_store
from services.intake.incidents.policy import IntakePolicy
from services.intake.keys.key_ring import KeyRing, create_key
from services.intake.signals.domain import AlertData, Signal
from services.intake.signals.group_commit import GroupCommit
from shared.kafka.record import Record
from shared.postgres.connection import Connection
from shared.postgres.database import Database
from shared.postgres.installation import raise_epoch
from tests.support.http import served
from tests.support.resolving import resolution
from tests.support.running import alert
from tests.support.stack import runtime_dsn

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
POLICY = IntakePolicy(update_interval=timedelta(seconds=10), expiry_grace=timedelta(minutes=2))


@pytest.fixture
async def own(database: str) -> AsyncIterator[Database]:
    opened = Database(runtime_dsn(database, "intake"))
    yield opened
    await opened.close()


@pytest.fixture
def intake() -> Intake:
    return Intake(lambda: POLICY, lambda: NOON)


def fired(signal_id: str, **data: str) -> Signal:
    body = AlertData.model_validate({"summary": "disk full", "key": "disk", **data})
    return Signal("probe", signal_id, NOON, NOON, None, body)


async def test_an_incident_made_again_from_its_signal_after_a_restore_is_closed_by_its_old_resolution(
    own: Database, intake: Intake
) -> None:
    async with own.transaction() as connection:
        await raise_epoch(connection)  # what a restored database does
        await intake.take(connection, [fired("1")])
    async with own.transaction() as connection:
        # Resolved before the restore, at event 1 of the epoch before: below all that is told now.
        await intake.on_escalation(connection, [resolution(fired("1").subject, 1000, 1, NOON)])
    async with own.connection() as connection:
        rows = await connection.fetch("SELECT incident_id, status FROM incidents")
    assert [tuple(row) for row in rows] == [(fired("1").subject, "closed")], (
        "nobody fired but its opener"
    )


async def test_an_event_too_large_to_be_told_of_is_refused_by_its_place_in_the_batch(
    own: Database, intake: Intake
) -> None:
    async with own.transaction() as connection:
        key = await create_key(connection, "tests", None, NOON)
    commit = GroupCommit(own, intake)
    task = asyncio.create_task(commit.run())
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/cloudevents-batch+json",
    }
    large = alert("2", labels={f"label{n}": "\N{BELL}" * 4096 for n in range(128)})
    async with (
        served(create_api(KeyRing(own, lambda: NOON), commit.submit, lambda: NOON)) as base,
        aiohttp.ClientSession(headers=headers) as http,
        http.post(f"{base}/v1/signals", data=orjson.dumps([alert("1"), large])) as answer,
    ):
        body = orjson.loads(await answer.read())
        assert (answer.status, body["field"]) == (400, "[1]"), body
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_bad_tracestate_costs_nothing_but_itself(own: Database, intake: Intake) -> None:
    trace = (
        ("traceparent", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"),
        ("tracestate", b"vendor=\x00"),
    )
    record = Record("tocsin.signals.v1", 0, 0, NOON, None, orjson.dumps(alert("1")), trace)
    async with own.transaction() as connection:
        await intake.on_signals(connection, [record])
    async with own.connection() as connection:
        (row,) = await connection.fetch("SELECT traceparent, tracestate FROM incidents")
    assert (row["traceparent"][3:35], row["tracestate"]) == ("a" * 32, None)


async def test_a_deadlock_between_writers_is_not_told_to_senders(own: Database) -> None:
    class Unlucky(Intake):
        victims = 1

        async def take(
            self, connection: Connection, signals: Sequence[Signal]
        ) -> dict[tuple[str, str], Taken]:
            taken = await super().take(connection, signals)
            if self.victims:
                self.victims -= 1
                raise asyncpg.DeadlockDetectedError("deadlock detected")
            return taken

    commit = GroupCommit(own, Unlucky(lambda: POLICY, lambda: NOON))
    task = asyncio.create_task(commit.run())
    taken = await commit.submit([fired("1")])
    assert [one.decision for one in taken.values()] == ["opened"]
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_old_signals_are_forgotten_in_pieces_that_fit_into_a_statement(own: Database) -> None:
    async with own.transaction() as connection:
        await connection.execute(
            "INSERT INTO signals (origin, signal_id, received_at, decision) "
            "SELECT 'probe', number::text, $1, 'joined' FROM generate_series(1, 25) AS number",
            NOON - timedelta(days=8),
        )
        await intake_store.insert_signals(connection, [(fired("kept"), "joined", None)], NOON)
    removed = []
    async with own.connection() as connection:
        while count := await intake_store.delete_old_signals(
            connection, NOON - timedelta(days=7), limit=10
        ):
            removed.append(count)
        assert removed == [10, 10, 5]
        assert await connection.fetchval("SELECT signal_id FROM signals") == "kept"


async def test_of_two_signals_with_one_id_the_first_counts_also_within_a_batch(
    own: Database, intake: Intake
) -> None:
    async with own.transaction() as connection:
        taken = await intake.take(
            connection, [fired("1"), fired("2", status="resolved"), fired("1", status="resolved")]
        )
    assert [one.decision for one in taken.values()] == ["opened", "cleared"]
