"""What is over and old goes, in small pieces; what goes on stays, however old."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import asyncpg
import orjson
import pytest

from shared.events import operations, reporting
from shared.events.facts import read_fact
from shared.events.operations import RetentionApplied
from shared.kafka.record import Record
from shared.policy.retention import RetentionPlan, make_plan
from shared.postgres.database import Database
from shared.postgres.retention import Retention
from tests.support.stack import runtime_dsn

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
OLD, NEW = NOON - timedelta(days=1000), NOON - timedelta(days=1)


@dataclass
class World:
    """One service's schema, seen by a superuser, with a clock that jumps."""

    service: str
    admin: "asyncpg.Connection[Any]"
    database: Database
    policy: str = ""
    now: datetime = NOON
    others: list[Database] = field(default_factory=list)

    def plan(self) -> RetentionPlan:
        texts = {"retention.yaml": self.policy.encode(), "intake.yaml": b""}
        return make_plan(texts, import_module(f"services.{self.service}.retention.policy").periods)

    def replica(self) -> Retention:
        """A process of the service."""
        agings = import_module(f"services.{self.service}.retention.store").AGING
        return Retention(self.service, self.database, agings, self.plan, lambda: self.now, 0)

    async def finish(self, retention: Retention) -> RetentionApplied:
        """Work until the run has ended; what it tells of itself."""
        while not await retention.step():
            pass
        return (await self.told())[-1]

    async def told(self) -> list[RetentionApplied]:
        """The events of all runs."""
        query = "SELECT value FROM outbox WHERE topic = $1 ORDER BY id"
        rows = await self.admin.fetch(query, operations.TOPIC)
        records = [Record("t", 0, 0, NOON, None, row["value"]) for row in rows]
        facts = [event.data for record in records if (event := read_fact(record))]
        assert all(isinstance(fact, RetentionApplied) for fact in facts)
        return facts  # type: ignore[return-value]

    async def left(self, query: str) -> list[Any]:
        return [row[0] for row in await self.admin.fetch(query)]


@pytest.fixture
async def world(database: str, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    service = request.param
    admin = await asyncpg.connect(database, server_settings={"search_path": service})
    await admin.execute("UPDATE retention SET due_at = $1", NOON)
    own = Database(runtime_dsn(database, service))
    await own.open()
    await admin.execute("UPDATE installation SET raised_at = $1", OLD)
    yield World(service, admin, own)
    await own.close()
    await admin.close()


def on(service: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("world", [service], indirect=True)


def deleted(told: RetentionApplied) -> dict[str, dict[str, int]]:
    return {rows.kind: rows.deleted for rows in told.rows}


def id_of(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012}"


async def intake_incident(world: World, number: int, status: str, told_at: datetime) -> None:
    await world.admin.execute(
        """
        INSERT INTO incidents
        SELECT $1::uuid, $2::bigint, $3::text, 'o', 'f' || $1::text, 's', 'error',
               NULL, NULL, '{}', '{}', '[]', 1, 1,
               $4::timestamptz, $4, $4, NULL, '["", ""]', 'x', 1, 1, $4, NULL, false, '', NULL
        """,
        id_of(number),
        number,
        status,
        told_at,
    )
    await world.admin.execute("INSERT INTO alerts VALUES ($1, '', false, NULL)", id_of(number))


@on("intake")
async def test_intake_forgets_what_is_over_and_old(world: World) -> None:
    for number, (status, at) in enumerate(
        [("closed", OLD), ("cleared", OLD), ("open", OLD), ("closed", NEW), ("cleared", NEW)]
    ):
        await intake_incident(world, number, status, at)
    signals = "INSERT INTO signals VALUES ('o', '1', $1, 'opened'), ('o', '2', $2, 'opened')"
    await world.admin.execute(signals, OLD, NEW)
    explained = "INSERT INTO explanations VALUES ($1, $2, ''), ($3, $4, '')"
    await world.admin.execute(explained, id_of(7), OLD, id_of(8), NEW)
    await world.admin.execute("INSERT INTO resolved_ahead VALUES ($1, $2)", id_of(9), OLD)
    await world.admin.execute(
        "INSERT INTO integration_keys VALUES ('a', 'a', '', $1, $1), ('b', 'b', '', $1, NULL)", OLD
    )
    told = await world.finish(world.replica())
    assert deleted(told) == {
        "signals": {"signals": 1},
        "explanations": {"explanations": 1},
        "early_resolutions": {"resolved_ahead": 1},
        "incidents": {"incidents": 2, "alerts": 2},
        "expired_keys": {"integration_keys": 1},
    }
    assert {rows.kind: rows.older_than for rows in told.rows}["incidents"] == NOON - timedelta(90)
    assert await world.left("SELECT number FROM incidents ORDER BY 1") == [2, 3, 4]
    assert await world.left("SELECT count(*) FROM alerts") == [3]
    assert await world.left("SELECT epoch FROM installation") == [1], (
        "an incident that is made again has sequences above those of the one before"
    )
    assert (told.service, told.policy_version) == ("intake", world.plan().version)


@on("triage")
async def test_triage_keeps_what_may_go_on_longer_than_what_has_cleared(world: World) -> None:
    quarter = NOON - timedelta(days=100)
    for number, (status, at) in enumerate(
        [("cleared", quarter), ("open", quarter), ("cleared", NEW), ("open", OLD)]
    ):
        state = orjson.dumps({"incident": {"status": status}}).decode()
        await world.admin.execute(
            "INSERT INTO incidents VALUES ($1, $2, 1, $3, $4)", id_of(number), number, state, at
        )
    told = await world.finish(world.replica())
    assert deleted(told) == {
        "incidents": {"incidents": 1},
        "silent_incidents": {"incidents": 1},
        "requests": {},
    }
    assert await world.left("SELECT intake_sequence FROM incidents ORDER BY 1") == [1, 2]


@on("escalation")
async def test_escalation_keeps_what_a_page_or_a_timer_may_still_need(world: World) -> None:
    states = ["resolved", "resolved", "resolved", "triggered", "acknowledged"]
    for number, status in enumerate(states):
        await world.admin.execute(
            "INSERT INTO incidents VALUES ($1, $2, $3, 1, '{}', '', NULL, $4)",
            id_of(number),
            number,
            status,
            OLD,
        )
        await world.admin.execute(
            "INSERT INTO deliveries VALUES ($1, $2, 'u', 'webhook', 1, 1, '[]', $3, 1, $4, NULL,"
            " false, $4)",
            f"key {number}",
            id_of(number),
            "sending" if number == 1 else "sent",
            OLD,
        )
    await world.admin.execute(
        "INSERT INTO timers (kind, subject, due_at) VALUES ('step', $1, $2)", id_of(2), OLD
    )
    assert deleted(await world.finish(world.replica())) == {
        "incidents": {"incidents": 0, "deliveries": 0}
    }
    await world.admin.execute("DELETE FROM timers")
    world.now += timedelta(days=1)
    assert deleted(await world.finish(world.replica())) == {
        "incidents": {"incidents": 2, "deliveries": 2}
    }
    assert await world.left("SELECT number FROM incidents ORDER BY 1") == [1, 3, 4]


@on("reporting")
async def test_reporting_takes_its_records_from_the_compacted_topic_and_none_from_the_audit_log(
    world: World,
) -> None:
    for number, (status, synthetic, at) in enumerate(
        [
            ("resolved", False, OLD),
            ("resolved", True, NOON - timedelta(days=32)),
            ("resolved", False, NOON - timedelta(days=32)),
            ("triggered", False, None),
        ]
    ):
        await world.admin.execute(
            "INSERT INTO incidents (incident_id, number, status, synthetic, resolved_at)"
            " VALUES ($1, $2, $3, $4, $5)",
            *(id_of(number), number, status, synthetic, at),
        )
        await world.admin.execute(
            "INSERT INTO timeline VALUES ($1, 'intake', 1, $2, 't', 't', '{}')", id_of(number), OLD
        )
    await world.admin.execute("INSERT INTO audit VALUES ('t', 0, 0, $1, NULL, NULL, '', '')", OLD)
    await world.admin.execute(
        "INSERT INTO advisories VALUES"
        " ($1, 'CVE-1', 'affected', NULL, NULL, 's', '[]', '[]', '[]', 'o', $2)",
        *(id_of(9), OLD),
    )
    told = await world.finish(world.replica())
    gone = {"incidents": 1, "timeline": 1, reporting.TOPIC: 1}
    assert deleted(told) == {
        "incidents": gone,
        "synthetic_incidents": gone,
        "changes": {},
        "advisories": {"advisories": 1},
        "requests": {},
    }
    assert await world.left("SELECT number FROM incidents ORDER BY 1") == [2, 3]
    query = "SELECT key, value FROM outbox WHERE topic = $1"
    rows = await world.admin.fetch(query, reporting.TOPIC)
    tombstones = {(row["key"].decode(), row["value"]) for row in rows}
    assert tombstones == {(id_of(0), None), (id_of(1), None)}
    assert await world.left("SELECT count(*) FROM audit") == [1]


@on("intake")
async def test_a_run_that_is_cut_short_is_finished_by_another_replica_and_told_once(
    world: World,
) -> None:
    await world.admin.execute(
        "INSERT INTO signals SELECT 'o', n::text, $1, 'opened' FROM generate_series(1, 70000) AS n",
        OLD,
    )
    first = world.replica()
    assert await first.step() == 0
    left = await world.left("SELECT count(*) FROM signals")
    assert 0 < left[0] < 70_000, "one step is one piece"
    told = await world.finish(world.replica())
    assert await world.left("SELECT count(*) FROM signals") == [0]
    assert deleted(told)["signals"] == {"signals": 70_000}
    assert len(await world.told()) == 1
    world.now += timedelta(hours=23)
    assert await first.step() > 0, "the next run is a day after this one"
    world.now += timedelta(hours=2)
    await world.finish(first)
    assert len(await world.told()) == 2


@on("intake")
async def test_replicas_do_not_wait_for_each_other(world: World) -> None:
    async with world.database.transaction() as connection:
        await connection.execute("SELECT FROM retention FOR UPDATE")
        async with asyncio.timeout(10):
            assert await world.replica().step() > 60


@on("intake")
async def test_a_corrected_policy_ends_the_run_that_began_under_the_one_before(
    world: World,
) -> None:
    await intake_incident(world, 1, "closed", NOON - timedelta(days=100))
    await world.replica().step()
    before = world.plan().version
    world.policy = "intake: {incidents: 200d}"
    await world.finish(world.replica())
    world.now += timedelta(minutes=2)
    await world.finish(world.replica())
    assert [told.policy_version for told in await world.told()] == [before, world.plan().version]
    assert await world.left("SELECT number FROM incidents") == [1]
