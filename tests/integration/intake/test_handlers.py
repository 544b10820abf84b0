"""Intake's transactions on real Postgres: its races, its restores, its timers."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import orjson
from asyncpg.connection import LoggedQuery

from services.intake.signals.domain import Signal
from shared.kafka.record import Record
from shared.postgres.errors import UNAVAILABLE, Conflict
from shared.postgres.installation import raise_epoch
from tests.integration.intake.conftest import NOON, World, fired
from tests.support.resolving import resolution
from tests.support.running import alert


async def test_a_repeat_of_a_signal_counts_once(world: World) -> None:
    await world.take(fired("1"), fired("1"), fired("2"))
    await world.take(fired("1"))
    assert await world.rows("SELECT signal_count FROM incidents") == [{"signal_count": 2}]
    decisions = await world.rows("SELECT signal_id, decision FROM signals ORDER BY signal_id")
    assert [tuple(row.values()) for row in decisions] == [("1", "opened"), ("2", "joined")]


async def test_a_replay_after_the_window_makes_no_second_incident(world: World) -> None:
    await world.take(fired("1"))
    await world.take(fired("2", status="resolved"))
    async with world.database.transaction() as connection:
        await connection.execute("DELETE FROM signals")
    await world.take(fired("1"))
    assert len(await world.rows("SELECT FROM incidents")) == 1


async def test_a_storm_is_one_update_when_its_timer_is_due(world: World) -> None:
    await world.take(fired("1"))
    for batch in range(3):
        await world.take(*(fired(f"{batch}-{n}") for n in range(100)))
    assert [kind for kind, _ in await world.outbox()] == ["IncidentReported"]
    world.clock[0] += timedelta(seconds=10)
    await world.fire_due()
    assert [kind for kind, _ in await world.outbox()] == ["IncidentReported", "IncidentUpdated"]
    (_, updated) = (await world.outbox())[-1]
    assert updated["data"]["incident"]["signal_count"] == 301
    assert await world.rows("SELECT FROM timers") == []


async def test_an_end_by_silence_has_a_grace(world: World) -> None:
    await world.take(fired("1", ends_at=NOON + timedelta(minutes=1)))
    world.clock[0] = NOON + timedelta(minutes=1, seconds=30)
    await world.fire_due()
    await world.take(fired("2", ends_at=NOON + timedelta(minutes=3)))
    world.clock[0] = NOON + timedelta(minutes=4)
    await world.fire_due()
    assert "IncidentCleared" not in [kind for kind, _ in await world.outbox()]
    world.clock[0] = NOON + timedelta(minutes=5, seconds=1)
    await world.fire_due()
    kind, event = (await world.outbox())[-1]
    assert (kind, event["data"]["reason"]) == ("IncidentCleared", "expired")
    assert await world.rows("SELECT FROM timers") == []


async def test_an_alert_after_the_resolution_opens_a_new_incident(world: World) -> None:
    await world.take(fired("1"))
    await world.resolved(seen=1)
    await world.take(fired("2"))
    rows = await world.rows("SELECT status, signal_count FROM incidents ORDER BY number")
    assert [tuple(row.values()) for row in rows] == [("closed", 1), ("open", 1)]


async def test_a_signal_that_races_with_the_resolution_opens_a_new_incident(world: World) -> None:
    await world.take(fired("1", alert="a"))
    await world.take(
        fired("2", alert="b", ends_at=NOON + timedelta(minutes=1))
    )  # held back: nobody has seen it
    await world.resolved(seen=1)
    rows = await world.rows(
        "SELECT status, signal_count, alerts_firing FROM incidents ORDER BY number"
    )
    assert [tuple(row.values()) for row in rows] == [("closed", 2, 2), ("open", 1, 2)]
    kinds = [kind for kind, _ in await world.outbox()]
    assert kinds == ["IncidentReported", "IncidentReported"]
    await world.take(fired("3", alert="a", status="resolved"))
    await world.fire_due()  # arms itself for the copied end of alert b
    world.clock[0] = NOON + timedelta(minutes=3, seconds=1)
    await world.fire_due()
    assert [
        row["status"] for row in await world.rows("SELECT status FROM incidents ORDER BY number")
    ] == ["closed", "cleared"]


async def test_a_database_put_back_reads_of_the_end_before_what_began_it(world: World) -> None:
    await world.take(fired("1"))
    (row,) = await world.rows("SELECT incident_id FROM incidents")
    await world.resolved(seen=1)
    async with (
        world.database.transaction() as connection
    ):  # as it was before the signal and its end
        await connection.execute("DELETE FROM alerts")
        await connection.execute("DELETE FROM incidents")
        await connection.execute("DELETE FROM signals")
    await world.resolved(seen=1, incident_id=row["incident_id"])
    await world.take(fired("1"))
    assert await world.rows("SELECT FROM incidents") == [], "it is over: nothing may join it unseen"
    assert await world.rows("SELECT noted_at FROM resolved_ahead") == [{"noted_at": NOON}]
    await world.take(fired("2"))
    assert [row["status"] for row in await world.rows("SELECT status FROM incidents")] == ["open"]


async def test_a_database_put_back_does_not_open_again_what_followed_a_resolution_and_is_over_too(
    world: World,
) -> None:
    await world.take(fired("1"))
    await world.take(fired("2"))
    (first,) = await world.rows("SELECT incident_id, number FROM incidents")
    await world.resolved(seen=1)
    (second,) = await world.rows("SELECT incident_id, number FROM incidents WHERE status = 'open'")
    async with world.database.transaction() as connection:  # as it was before the signals
        for table in ("timers", "alerts", "incidents", "signals"):
            await connection.execute(f"DELETE FROM {table}")
    await world.take(fired("1"))
    await world.take(fired("2"))
    both = [resolution(row["incident_id"], row["number"], 1, NOON) for row in (first, second)]
    async with world.database.transaction() as connection:
        await world.handlers.on_escalation(connection, both)
    assert [row["status"] for row in await world.rows("SELECT status FROM incidents")] == ["closed"]
    await world.take(fired("3"))
    assert len(await world.rows("SELECT FROM incidents WHERE status = 'open'")) == 1, (
        "it is reported, not lost"
    )


async def test_a_resolution_that_saw_everything_opens_nothing(world: World) -> None:
    await world.take(fired("1"))
    world.clock[0] += timedelta(seconds=11)
    await world.take(fired("2"))
    await world.resolved(seen=2)
    assert [row["status"] for row in await world.rows("SELECT status FROM incidents")] == ["closed"]


async def test_fifty_parallel_transactions_of_one_new_key_are_one_incident(world: World) -> None:
    async def one(n: int) -> None:
        for _ in range(60):
            with suppress(Conflict, *UNAVAILABLE):  # it waits for a lock or a connection as well
                return await world.take(
                    fired(f"p{n}", summary=f"text {n}", severity=["info", "critical"][n % 2])
                )
        raise AssertionError("never got through")

    await asyncio.gather(*(one(n) for n in range(50)))
    rows = await world.rows("SELECT signal_count, severity, alerts_firing, summary FROM incidents")
    assert [tuple(row.values()) for row in rows] == [(50, "critical", 1, "text 9")]


async def test_what_a_publisher_got_wrong_on_the_topic_is_told_and_the_rest_is_taken(
    world: World,
) -> None:
    binary = [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"binary"),
        ("ce_source", b"/probe"),
        ("ce_type", b"tocsin.signals.Alert"),
        ("content-type", b"application/json"),
        ("noise", b"\xff\xfe"),
    ]
    change = alert("change") | {
        "type": "tocsin.signals.Change",
        "data": {"summary": "v41", "service": "checkout"},
    }
    values: list[tuple[bytes | None, list[tuple[str, bytes]]]] = [
        (orjson.dumps(alert("structured")), []),
        (b"{", []),
        (None, []),
        (b"\xff\xfe", []),
        (orjson.dumps(alert("1") | {"type": "x"}), []),
        (orjson.dumps(alert("2", severity={"a": 1}, summary="")), []),
        (b'{"summary": "disk full", "key": "binary"}', binary),
        (orjson.dumps(change), []),
    ]
    records = [
        Record("tocsin.signals.v1", 2, offset, NOON, None, value, tuple(headers))
        for offset, (value, headers) in enumerate(values)
    ]
    async with world.database.transaction() as connection:
        await world.handlers.on_signals(connection, records)
    events = [(kind, event["data"]) for kind, event in await world.outbox()]
    assert [
        (data["offset"], data["field"]) for kind, data in events if kind == "SignalRejected"
    ] == [(1, "value"), (2, "value"), (3, "value"), (4, "type"), (5, "data.summary")]
    assert [data.get("signal_id") for kind, data in events if kind == "SignalRejected"][-2:] == [
        "1",
        "2",
    ]
    assert [kind for kind, _ in events if kind != "SignalRejected"] == [
        "IncidentReported",
        "IncidentReported",
        "ChangeRecorded",
    ]


async def test_an_incident_made_again_after_a_restore_is_closed_by_its_old_resolution(
    world: World,
) -> None:
    async with world.database.transaction() as connection:
        await raise_epoch(connection)  # what a restored database does
        await world.handlers.take(connection, [fired("1")])
    async with world.database.transaction() as connection:
        # Resolved before the restore, at event 1 of the epoch before: below all later sequences.
        await world.handlers.on_escalation(
            connection, [resolution(fired("1").subject, 1000, 1, NOON)]
        )
    async with world.database.connection() as connection:
        rows = await connection.fetch("SELECT incident_id, status FROM incidents")
    assert [tuple(row) for row in rows] == [(fired("1").subject, "closed")], (
        "nobody fired but its opener"
    )


async def test_a_bad_tracestate_costs_nothing_but_itself(world: World) -> None:
    trace = (
        ("traceparent", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"),
        ("tracestate", b"vendor=\x00"),
    )
    record = Record("tocsin.signals.v1", 0, 0, NOON, None, orjson.dumps(alert("1")), trace)
    async with world.database.transaction() as connection:
        await world.handlers.on_signals(connection, [record])
    async with world.database.connection() as connection:
        (row,) = await connection.fetch("SELECT traceparent, tracestate FROM incidents")
    assert (row["traceparent"][3:35], row["tracestate"]) == ("a" * 32, None)


async def test_of_two_signals_with_one_id_the_first_counts_also_within_a_batch(
    world: World,
) -> None:
    async with world.database.transaction() as connection:
        taken = await world.handlers.take(
            connection, [fired("1"), fired("2", status="resolved"), fired("1", status="resolved")]
        )
    assert [one.decision for one in taken.values()] == ["opened", "cleared"]


async def statements(world: World, *signals: Signal) -> int:
    """How many statements the transaction of these signals has, beside BEGIN and COMMIT."""
    seen: list[str] = []

    def note(query: LoggedQuery) -> None:
        seen.append(query.query)

    async with world.database.connection() as connection:
        with connection.query_logger(note):
            async with connection.transaction():
                await world.handlers.take(connection, signals)
    # asyncpg loads unknown types once per connection.
    others = ("BEGIN;", "COMMIT;", "typeinfo_tree", "current_setting('jit')")
    return sum(1 for query in seen if not any(other in query for other in others))


async def test_a_transaction_reads_once_for_all_signals_and_writes_once(world: World) -> None:
    assert await statements(world, fired("1"), fired("2", key="other")) == 2
    assert await statements(world, fired("1")) == 1, "a repeat is only read"
    # Alerts of open incidents are read once their incidents are locked.
    assert await statements(world, fired("3")) == 3
    assert await statements(world, fired("4", status="resolved"), fired("5", key="new")) == 3
    # What ends has to be written before what opens in its place; and that takes a number more.
    assert await statements(world, fired("6", key="new", status="resolved"), fired("7", "new")) == 5


async def test_numbers_are_drawn_for_new_fingerprints_only(world: World) -> None:
    for signal_id in "1234":
        await world.take(fired(signal_id))
    await world.take(fired("5", key="other"))
    rows = await world.rows("SELECT number FROM incidents ORDER BY number")
    assert [row["number"] for row in rows] == [1000, 1001]
