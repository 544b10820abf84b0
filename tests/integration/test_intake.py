"""Intake on real Postgres: its SQL, its races, its HTTP answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
import orjson
import pytest

from services.intake.gateways.http import create_api
from services.intake.handlers import Intake
from services.intake.incidents import store
from services.intake.incidents.policy import IntakePolicy
from services.intake.keys.key_ring import KeyRing, create_key
from services.intake.signals.domain import AlertData, Signal
from services.intake.signals.group_commit import GroupCommit
from shared.kafka.record import Record
from shared.postgres.database import Database
from shared.postgres.errors import UNAVAILABLE, Conflict
from shared.postgres.timers import claim_timers
from tests.support.http import served
from tests.support.resolving import resolution
from tests.support.running import alert
from tests.support.stack import name_of, on_database, runtime_dsn

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
POLICY = IntakePolicy(update_interval=timedelta(seconds=10), expiry_grace=timedelta(minutes=2))


@dataclass
class World:
    """Intake with a clock that jumps, on a database of its own."""

    intake: Intake
    database: Database
    clock: list[datetime]
    admin: str

    async def take(self, *signals: Signal) -> None:
        async with self.database.transaction() as connection:
            await self.intake.take(connection, signals)

    async def rows(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        async with self.database.connection() as connection:
            return [dict(row) for row in await connection.fetch(query, *arguments)]

    async def outbox(self) -> list[tuple[str, dict[str, Any]]]:
        rows = await self.rows("SELECT value FROM outbox ORDER BY id")
        events = [orjson.loads(row["value"]) for row in rows]
        return [(event["type"].rpartition(".")[2], event) for event in events]

    async def fire_due(self) -> None:
        async with self.database.transaction() as connection:
            await self.intake.fire(connection, await claim_timers(connection, self.clock[0], 100))

    async def resolved(self, seen: int, incident_id: UUID | None = None) -> None:
        """A person resolves the first incident (or the one given), having seen event `seen`."""
        rows = await self.rows("SELECT incident_id, number FROM incidents ORDER BY number LIMIT 1")
        row: dict[str, Any] = (
            {"incident_id": incident_id, "number": 1000} if incident_id else rows[0]
        )
        record = resolution(row["incident_id"], row["number"], seen, NOON)
        async with self.database.transaction() as connection:
            await self.intake.on_escalation(connection, [record])


@pytest.fixture
async def world(database: str) -> AsyncIterator[World]:
    own = Database(runtime_dsn(database, "intake"))
    clock = [NOON]
    yield World(Intake(lambda: POLICY, lambda: clock[0]), own, clock, database)
    await own.close()


def fired(signal_id: str, key: str = "disk", status: str = "firing", **data: Any) -> Signal:
    body = AlertData(**{"summary": "disk full", "key": key, "status": status, **data})
    return Signal("probe", signal_id, NOON, NOON, None, body)


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
        assert await store.delete_old_signals(connection, NOON + timedelta(seconds=1)) == 2
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


async def test_c16_an_end_by_silence_has_a_grace(world: World) -> None:
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


async def test_c14_an_alert_after_the_resolution_opens_a_new_incident(world: World) -> None:
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
    ] == [
        "closed",
        "cleared",
    ]


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
    async with world.database.transaction() as connection:
        await store.delete_resolved_ahead(connection, NOON)
        assert await connection.fetchval("SELECT count(*) FROM resolved_ahead") == 1
        await store.delete_resolved_ahead(connection, NOON + timedelta(seconds=1))
        assert await connection.fetchval("SELECT count(*) FROM resolved_ahead") == 0
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
        await world.intake.on_escalation(connection, both)
    assert [row["status"] for row in await world.rows("SELECT status FROM incidents")] == ["closed"]
    await world.take(fired("3"))
    assert len(await world.rows("SELECT FROM incidents WHERE status = 'open'")) == 1, (
        "it is told of, not swallowed"
    )


async def test_a_resolution_that_saw_everything_opens_nothing(world: World) -> None:
    await world.take(fired("1"))
    world.clock[0] += timedelta(seconds=11)
    await world.take(fired("2"))
    await world.resolved(seen=2)
    assert [row["status"] for row in await world.rows("SELECT status FROM incidents")] == ["closed"]


async def test_c11_fifty_parallel_transactions_of_one_new_key_are_one_incident(
    world: World,
) -> None:
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
        await world.intake.on_signals(connection, records)
    told = [(kind, event["data"]) for kind, event in await world.outbox()]
    assert [(data["offset"], data["field"]) for kind, data in told if kind == "SignalRejected"] == [
        (1, "value"),
        (2, "value"),
        (3, "value"),
        (4, "type"),
        (5, "data.summary"),
    ]
    assert [data.get("signal_id") for kind, data in told if kind == "SignalRejected"][-2:] == [
        "1",
        "2",
    ]
    assert [kind for kind, _ in told if kind != "SignalRejected"] == [
        "IncidentReported",
        "IncidentReported",
        "ChangeRecorded",
    ]


class TestHttp:
    """The answers that senders get."""

    @pytest.fixture
    async def base(self, world: World) -> AsyncIterator[str]:
        commit = GroupCommit(world.database, world.intake)
        task = asyncio.create_task(commit.run())
        async with served(
            create_api(KeyRing(world.database, lambda: NOON), commit.submit, lambda: NOON)
        ) as base:
            yield base
        task.cancel()

    @pytest.fixture
    async def http(self, world: World) -> AsyncIterator[aiohttp.ClientSession]:
        async with world.database.transaction() as connection:
            key = await create_key(connection, "tests", timedelta(hours=1), NOON)
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session:
            yield session

    async def post(
        self, http: aiohttp.ClientSession, url: str, body: Any, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        async with http.post(
            url, data=data, headers={"Content-Type": "application/json", **headers}
        ) as answer:
            return answer.status, orjson.loads(await answer.read())

    async def test_the_three_content_modes(
        self, world: World, base: str, http: aiohttp.ClientSession
    ) -> None:
        url, event = f"{base}/v1/signals", alert("1")
        structured = {"Content-Type": "application/cloudevents+json"}
        status, body = await self.post(http, url, event, **structured)
        assert (status, body["signals"][0]["decision"]) == (202, "opened")
        binary = {f"ce-{name}": event[name] for name in ("specversion", "id", "source", "type")}
        status, body = await self.post(http, url, event["data"], **binary)
        assert (status, body["signals"][0]["decision"]) == (202, "repeat")
        batch = {"Content-Type": "application/cloudevents-batch+json; charset=utf-8"}
        status, body = await self.post(http, url, [alert("2", "1"), alert("3")], **batch)
        assert [signal["decision"] for signal in body["signals"]] == ["joined", "opened"]

    async def test_c11_fifty_parallel_posts_of_one_new_key(
        self, world: World, base: str, http: aiohttp.ClientSession
    ) -> None:
        structured = {"Content-Type": "application/cloudevents+json"}
        answers = await asyncio.gather(
            *(
                self.post(http, f"{base}/v1/signals", alert(f"p{n}", "k"), **structured)
                for n in range(50)
            )
        )
        assert {status for status, _ in answers} == {202}
        assert await world.rows("SELECT signal_count FROM incidents") == [{"signal_count": 50}]

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"type": "tocsin.signals.Alarm"}, "type"),
            ({"id": None}, "id"),
            ({"specversion": "2"}, "specversion"),
            ({"data": {}}, "data.summary"),
            ({"data": {"summary": "x", "status": "broken"}}, "data.status"),
            ({"data": {"summary": "a\u0000b"}}, "data.summary"),
            ({"data": {"summary": "x", "labels": {"a": "b\u0000"}}}, "data.labels.a"),
            ({"data": "text"}, "data"),
        ],
    )
    async def test_bad_input_is_a_problem_that_names_the_field(
        self,
        world: World,
        base: str,
        http: aiohttp.ClientSession,
        change: dict[str, Any],
        field: str,
    ) -> None:
        batch = {"Content-Type": "application/cloudevents-batch+json"}
        status, body = await self.post(
            http, f"{base}/v1/signals", [alert("1"), alert("2") | change], **batch
        )
        assert (status, body["field"]) == (400, f"[1].{field}")
        assert await world.rows("SELECT FROM signals") == [], "all of a batch or nothing"

    async def test_what_is_no_json_too_large_or_of_an_unknown_kind(
        self, base: str, http: aiohttp.ClientSession
    ) -> None:
        url, structured = f"{base}/v1/signals", {"Content-Type": "application/cloudevents+json"}
        assert (await self.post(http, url, b"{", **structured))[0] == 400
        assert (await self.post(http, url, b"[" * 100_000, **structured))[0] == 400
        assert (await self.post(http, url, b"x" * 600_000, **structured))[0] == 413
        status, body = await self.post(http, url, {})
        assert (status, body["field"]) == (415, "Content-Type")

    @pytest.mark.parametrize(
        "key", ["", "Bearer", "Bearer nonsense", "Bearer tocsin_0000_00", "Basic eDp5"]
    )
    async def test_without_a_good_key_nothing_is_taken(self, base: str, key: str) -> None:
        async with aiohttp.ClientSession(headers={"Authorization": key}) as http:
            status, body = await self.post(http, f"{base}/v1/signals", alert("1"))
        assert (status, body["field"]) == (401, "Authorization")

    async def test_an_expired_key_is_refused(self, world: World, base: str) -> None:
        async with world.database.transaction() as connection:
            key = await create_key(connection, "old", timedelta(seconds=-1), NOON)
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as http:
            assert (await self.post(http, f"{base}/v1/signals", alert("1")))[0] == 401

    async def test_the_database_holds_no_key_in_clear(
        self, world: World, http: aiohttp.ClientSession
    ) -> None:
        secret = http.headers["Authorization"].split("_", 2)[2]
        rows = await world.rows("SELECT integration_keys::text AS row FROM integration_keys")
        assert rows
        assert secret not in str(rows)

    async def test_alertmanagers_webhook(
        self, world: World, base: str, http: aiohttp.ClientSession
    ) -> None:
        url = f"{base}/v1/alertmanager"
        assert (await self.post(http, url, alertmanager("firing", "a", "b")))[0] == 200
        assert (await self.post(http, url, alertmanager("firing", "a", "b")))[0] == 200
        rows = await world.rows(
            "SELECT service, severity, summary, signal_count, alerts_firing FROM incidents"
        )
        assert [tuple(row.values()) for row in rows] == [
            ("checkout", "critical", "checkout is down", 4, 2)
        ]
        assert (await self.post(http, url, alertmanager("resolved", "a", "b")))[0] == 200
        assert await world.rows("SELECT status FROM incidents") == [{"status": "cleared"}]

    async def test_one_odd_alert_never_blocks_its_group(
        self, world: World, base: str, http: aiohttp.ClientSession
    ) -> None:
        body = alertmanager("firing", "a")
        body["alerts"].append(
            {"status": "firing", "labels": {"alertname": "odd", "severity": 7, "x": "\u0000"}}
        )
        body["alerts"].append({"status": "firing", "generatorURL": "?orgId=1", "annotations": None})
        status, answer = await self.post(http, f"{base}/v1/alertmanager", body)
        assert (status, answer) == (200, {"accepted": 3})
        assert [
            row["alerts_firing"] for row in await world.rows("SELECT alerts_firing FROM incidents")
        ] == [3]

    @pytest.mark.parametrize("name", ["topic", "two words", "", "x" * 64, "a\nb"])
    async def test_a_name_that_could_be_taken_for_another_sender_is_refused(
        self, world: World, name: str
    ) -> None:
        async with world.database.transaction() as connection:
            with pytest.raises(ValueError, match="a name has letters"):
                await create_key(connection, name, None, NOON)

    async def test_another_version_is_refused_by_name(
        self, base: str, http: aiohttp.ClientSession
    ) -> None:
        body = alertmanager("firing", "a") | {"version": "3"}
        status, answer = await self.post(http, f"{base}/v1/alertmanager", body)
        assert (status, answer["field"]) == (400, "version")

    async def test_postgres_down_is_503_with_retry_after_and_never_a_false_2xx(
        self, world: World, base: str, http: aiohttp.ClientSession
    ) -> None:
        structured = {"Content-Type": "application/cloudevents+json"}
        assert (await self.post(http, f"{base}/v1/signals", alert("before"), **structured))[
            0
        ] == 202
        admin = await asyncpg.connect(on_database(world.admin, "postgres"))
        name = name_of(world.admin)
        try:
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE usename = 'tocsin_intake' AND datname = $1",
                name,
            )
            await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            async with http.post(
                f"{base}/v1/signals", json=alert("down"), headers=structured
            ) as answer:
                assert answer.status == 503
                assert answer.headers["Retry-After"]
                assert answer.content_type == "application/problem+json"
            await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        finally:
            await admin.close()
        assert (await self.post(http, f"{base}/v1/signals", alert("after"), **structured))[0] == 202
        assert {row["signal_id"] for row in await world.rows("SELECT signal_id FROM signals")} == {
            "before",
            "after",
        }


def alertmanager(status: str, *instances: str) -> dict[str, Any]:
    """A notification of Alertmanager, version 4, for alerts of one group."""
    labels = {"alertname": "Down", "service": "checkout", "severity": "critical"}
    return {
        "version": "4",
        "groupKey": '{}:{alertname="Down"}',
        "truncatedAlerts": 0,
        "status": status,
        "receiver": "tocsin",
        "groupLabels": {"alertname": "Down"},
        "commonLabels": labels,
        "commonAnnotations": {"summary": "checkout is down"},
        "externalURL": "http://alertmanager.example",
        "alerts": [
            {
                "status": status,
                "labels": labels | {"instance": instance},
                "annotations": {"summary": "checkout is down"},
                "startsAt": "2026-03-01T12:00:00Z",
                "endsAt": "0001-01-01T00:00:00Z" if status == "firing" else "2026-03-01T12:30:00Z",
                "generatorURL": "http://prometheus.example/graph",
                "fingerprint": f"fp-{instance}",
            }
            for instance in instances
        ],
    }
