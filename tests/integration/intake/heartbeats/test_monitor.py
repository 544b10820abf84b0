"""Heartbeats on real Postgres: their timers, their incidents, their races."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

import aiohttp
import orjson
import pytest

from services.intake.handlers import Handlers
from services.intake.heartbeats.policy import HeartbeatsPolicy
from services.intake.heartbeats.policy_sync import PolicySync
from services.intake.heartbeats.register import Register
from services.intake.signals.domain import HeartbeatData, HeartbeatSettings, Signal
from shared.postgres.errors import DEADLOCK, Conflict
from shared.postgres.timers import claim_timers
from tests.integration.intake.conftest import NOON, POLICY, World, fired, post
from tests.support.running import alert

MINUTE = timedelta(minutes=1)
SETTINGS = HeartbeatSettings(every=timedelta(minutes=5), grace=MINUTE, service="backup")


@pytest.fixture
def register(world: World) -> Register:
    return Register(world.database, lambda: world.clock[0])


def sync(world: World) -> PolicySync:
    unread: Any = None
    return PolicySync(world.database, unread, lambda: world.clock[0])


def beat(signal_id: str, name: str = "nightly", **data: Any) -> Signal:
    return Signal("job", signal_id, NOON, NOON, None, HeartbeatData(name=name, **data))


async def pass_time(world: World, minutes: float) -> None:
    """Let time pass as the ticker sees it: each timer fires when it is due."""
    end = world.clock[0] + minutes * MINUTE
    while True:
        (row,) = await world.rows("SELECT min(due_at) AS due FROM timers")
        if row["due"] is None or row["due"] > end:
            break
        world.clock[0] = max(row["due"], world.clock[0])
        await world.fire_due()
    world.clock[0] = end


async def incidents(world: World) -> list[tuple[str, str]]:
    rows = await world.rows("SELECT status, summary FROM incidents ORDER BY number")
    return [(row["status"], row["summary"]) for row in rows]


async def reasons(world: World) -> list[str]:
    return [
        event["data"]["reason"] for kind, event in await world.outbox() if kind == "IncidentCleared"
    ]


async def test_a_missed_heartbeat_is_an_incident_that_the_next_beat_clears(
    world: World, register: Register
) -> None:
    await register.save("nightly", SETTINGS, "operator")
    for minute in range(4):
        await pass_time(world, 5)
        await world.take(beat(f"b{minute}"))
    assert await incidents(world) == []
    await pass_time(world, 6)
    assert await incidents(world) == [("open", "Heartbeat nightly was missed")]
    (opened,) = [event for kind, event in await world.outbox() if kind == "IncidentReported"]
    assert opened["data"]["incident"]["service"] == "backup"
    assert "the last was at 2026-03-01T12:20:00" in str(opened["data"]["incident"]["annotations"])
    await world.take(beat("late"))
    assert await incidents(world) == [("cleared", "Heartbeat nightly was missed")]
    assert await reasons(world) == ["resolved at the source by its next beat"]
    await pass_time(world, 6)
    assert [status for status, _ in await incidents(world)] == ["cleared", "open"]


async def test_beats_leave_one_timer(world: World, register: Register) -> None:
    await register.save("nightly", SETTINGS, "operator")
    for number in range(50):
        await world.take(beat(f"b{number}"))
        await pass_time(world, 0.5)
    assert len(await world.rows("SELECT FROM timers")) == 1
    await register.save("nightly", SETTINGS.model_copy(update={"every": MINUTE}), "operator")
    await pass_time(world, 2)
    assert [status for status, _ in await incidents(world)] == ["open"]


async def test_a_repeated_signal_is_no_second_beat(world: World, register: Register) -> None:
    await register.save("nightly", SETTINGS, "operator")
    await world.take(beat("1"), beat("1"))
    await pass_time(world, 6)
    await world.take(beat("1"))
    assert [status for status, _ in await incidents(world)] == ["open"]


async def test_a_closed_incident_does_not_end_the_watch(world: World, register: Register) -> None:
    await register.save("nightly", SETTINGS, "operator")
    await pass_time(world, 6)
    await world.resolved(seen=1)
    await pass_time(world, 59)
    assert [status for status, _ in await incidents(world)] == ["closed"]
    await pass_time(world, 1)
    assert [status for status, _ in await incidents(world)] == ["closed", "open"]


async def test_a_deleted_heartbeat_stops_and_its_incident_says_so(
    world: World, register: Register
) -> None:
    await register.save("nightly", SETTINGS, "operator")
    await register.save("weekly", SETTINGS, "operator")
    await pass_time(world, 6)
    assert await register.delete("weekly")
    await world.take(beat("1"))
    assert await register.delete("nightly")
    assert not await register.delete("nightly")
    assert await register.list() == []
    await pass_time(world, 600)
    assert sorted(await reasons(world)) == [
        "resolved at the source by deletion of the heartbeat",
        "resolved at the source by its next beat",
    ]
    assert {status for status, _ in await incidents(world)} == {"cleared"}
    assert await world.rows("SELECT FROM heartbeats") == []
    assert await world.rows("SELECT FROM timers WHERE kind = 'heartbeat'") == []


async def test_a_restart_of_intake_is_no_silence_of_the_sender(
    world: World, register: Register
) -> None:
    await register.save("nightly", SETTINGS, "operator")
    world.clock[0] += timedelta(hours=3)  # nobody fired timers meanwhile
    await world.fire_due()
    assert await incidents(world) == []
    await pass_time(world, 5)
    assert await incidents(world) == []
    await pass_time(world, 1)
    assert [status for status, _ in await incidents(world)] == ["open"]


async def test_two_replicas_report_a_miss_once(world: World, register: Register) -> None:
    for number in range(20):
        await register.save(f"job-{number}", SETTINGS, "operator")
    world.clock[0] += 6 * MINUTE
    replicas = [Handlers(lambda: POLICY, lambda: world.clock[0]) for _ in range(4)]

    async def tick(handlers: Handlers) -> None:
        for _ in range(10):
            async with world.database.transaction() as connection:
                await handlers.fire(connection, await claim_timers(connection, world.clock[0], 7))

    await asyncio.gather(*map(tick, replicas))
    assert [status for status, _ in await incidents(world)] == ["open"] * 20
    counts = await world.rows("SELECT signal_count FROM incidents")
    assert [row["signal_count"] for row in counts] == [1] * 20


async def test_beats_and_deadlines_that_race_end_in_one_state(
    world: World, register: Register
) -> None:
    """At the deadline a beat comes: whatever is first, no incident is left open."""
    names = [f"job-{number}" for number in range(10)]
    for name in names:
        await register.save(name, SETTINGS, "operator")
    world.clock[0] += 6 * MINUTE

    async def again(work: Callable[[], Awaitable[None]]) -> None:
        while True:
            with suppress(Conflict, DEADLOCK):
                await work()
                return

    jobs = [
        again(partial(world.take, beat(f"{name}-b", name), fired(f"{name}-f"))) for name in names
    ]
    await asyncio.gather(*jobs, *(again(world.fire_due) for _ in range(3)))
    await pass_time(world, 1)
    rows = await world.rows("SELECT status FROM incidents WHERE summary LIKE 'Heartbeat%'")
    assert {row["status"] for row in rows} <= {"cleared"}
    states = {one.status for one in await register.list()}
    assert states == {"beating"}


async def test_the_policy_file_makes_changes_and_deletes(world: World, register: Register) -> None:
    policy = HeartbeatsPolicy(heartbeats={"nightly": SETTINGS, "weekly": SETTINGS})
    await asyncio.gather(*(sync(world).apply(policy) for _ in range(3)))
    before = await register.list()
    assert [(one.name, one.managed_by) for one in before] == [
        ("nightly", "policy"),
        ("weekly", "policy"),
    ]
    world.clock[0] += 3 * MINUTE
    await sync(world).apply(policy)
    assert await register.list() == before, "a restart moves no deadline"
    await pass_time(world, 3)
    await sync(world).apply(HeartbeatsPolicy(heartbeats={"nightly": SETTINGS}))
    await pass_time(world, 0)
    assert [one.name for one in await register.list()] == ["nightly"]
    assert await reasons(world) == ["resolved at the source by deletion of the heartbeat"]


async def test_an_operators_heartbeat_goes_over_to_the_policy(
    world: World, register: Register
) -> None:
    made = await register.save("nightly", SETTINGS, "operator")
    await sync(world).apply(HeartbeatsPolicy(heartbeats={"nightly": SETTINGS}))
    (now,) = await register.list()
    assert (now.managed_by, now.due_at) == ("policy", made.due_at)


async def test_over_http_only_a_post_is_a_beat(
    world: World, register: Register, base: str, http: aiohttp.ClientSession
) -> None:
    await register.save("nightly", SETTINGS, "operator")
    url = f"{base}/v1/heartbeats/nightly"
    before = await world.rows("SELECT * FROM heartbeats")
    for _ in range(10):  # a mail scanner follows a link
        async with http.get(url) as got, http.head(url) as headed:
            assert (got.status, headed.status) == (200, 200)
            assert (await got.json())["status"] == "new"
    assert await world.rows("SELECT * FROM heartbeats") == before
    await pass_time(world, 6)
    async with http.get(url) as got:
        assert (await got.json())["status"] == "missed"
    async with http.get(url, headers={"Authorization": ""}) as refused:
        assert refused.status == 401
    assert await post(http, url, b"backup done") == (200, {"heartbeat": "nightly"})
    async with http.get(url) as got:
        state = await got.json()
    assert (state["status"], state["every_seconds"]) == ("beating", 300)
    assert [status for status, _ in await incidents(world)] == ["cleared"]
    status, problem = await post(http, f"{base}/v1/heartbeats/other", b"")
    assert (status, problem["field"]) == (404, "name")
    async with http.get(f"{base}/v1/heartbeats/other") as missing:
        assert missing.status == 404


async def test_an_event_makes_and_beats_a_heartbeat(
    world: World, register: Register, base: str, http: aiohttp.ClientSession
) -> None:
    data = {"name": "etl", "every_seconds": 60, "grace_seconds": 0, "service": "warehouse"}
    event = alert("1") | {"type": "tocsin.signals.Heartbeat", "data": data}
    other = alert("2", "disk")
    headers = {"Content-Type": "application/cloudevents-batch+json"}
    status, body = await post(http, f"{base}/v1/signals", [event, other], **headers)
    assert status == 202
    assert [one["decision"] for one in body["signals"]] == ["beat", "opened"]
    status, body = await post(http, f"{base}/v1/signals", [event], **headers)
    assert [one["decision"] for one in body["signals"]] == ["repeat"]
    event |= {"id": "3", "data": {"name": "nobody"}}
    status, body = await post(http, f"{base}/v1/signals", orjson.dumps([event]), **headers)
    assert [one["decision"] for one in body["signals"]] == ["unknown heartbeat"]
    await pass_time(world, 1)
    assert ("open", "Heartbeat etl was missed") in await incidents(world)
