"""What senders get from intake's HTTP, on real Postgres."""

import asyncio
from datetime import timedelta
from typing import Any

import aiohttp
import asyncpg
import orjson
import pytest

from services.intake.integrations.store import create_key
from tests.integration.intake.conftest import NOON, World, notification, post
from tests.support.running import alert
from tests.support.stack import name_of, on_database

STRUCTURED = {"Content-Type": "application/cloudevents+json"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}
JSON = {"Content-Type": "application/json"}


async def test_the_three_content_modes(
    world: World, base: str, http: aiohttp.ClientSession
) -> None:
    url, event = f"{base}/v1/signals", alert("1")
    structured = {"Content-Type": "application/cloudevents+json"}
    status, body = await post(http, url, event, **structured)
    assert (status, body["signals"][0]["decision"]) == (202, "opened")
    binary = {f"ce-{name}": event[name] for name in ("specversion", "id", "source", "type")}
    status, body = await post(http, url, event["data"], **binary)
    assert (status, body["signals"][0]["decision"]) == (202, "repeat")
    batch = {"Content-Type": "application/cloudevents-batch+json; charset=utf-8"}
    status, body = await post(http, url, [alert("2", "1"), alert("3")], **batch)
    assert [signal["decision"] for signal in body["signals"]] == ["joined", "opened"]


async def test_fifty_parallel_posts_of_one_new_key(
    world: World, base: str, http: aiohttp.ClientSession
) -> None:
    structured = {"Content-Type": "application/cloudevents+json"}
    answers = await asyncio.gather(
        *(post(http, f"{base}/v1/signals", alert(f"p{n}", "k"), **structured) for n in range(50))
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
    world: World, base: str, http: aiohttp.ClientSession, change: dict[str, Any], field: str
) -> None:
    batch = {"Content-Type": "application/cloudevents-batch+json"}
    status, body = await post(
        http, f"{base}/v1/signals", [alert("1"), alert("2") | change], **batch
    )
    assert (status, body["field"]) == (400, f"[1].{field}")
    assert await world.rows("SELECT FROM signals") == [], "all of a batch or nothing"


async def test_what_is_no_json_too_large_or_of_an_unknown_kind(
    base: str, http: aiohttp.ClientSession
) -> None:
    url, structured = f"{base}/v1/signals", {"Content-Type": "application/cloudevents+json"}
    assert (await post(http, url, b"{", **structured))[0] == 400
    assert (await post(http, url, b"[" * 100_000, **structured))[0] == 400
    assert (await post(http, url, b"x" * 600_000, **structured))[0] == 413
    status, body = await post(http, url, {})
    assert (status, body["field"]) == (415, "Content-Type")


@pytest.mark.parametrize(
    "key", ["", "Bearer", "Bearer nonsense", "Bearer tocsin_0000_00", "Basic eDp5"]
)
async def test_without_a_good_key_nothing_is_taken(base: str, key: str) -> None:
    async with aiohttp.ClientSession(headers={"Authorization": key}) as http:
        status, body = await post(http, f"{base}/v1/signals", alert("1"))
    assert (status, body["field"]) == (401, "Authorization")


async def test_an_expired_key_is_refused(world: World, base: str) -> None:
    async with world.database.transaction() as connection:
        key = await create_key(connection, "old", timedelta(seconds=-1), NOON)
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as http:
        assert (await post(http, f"{base}/v1/signals", alert("1")))[0] == 401


async def test_the_database_holds_no_key_in_clear(
    world: World, http: aiohttp.ClientSession
) -> None:
    secret = http.headers["Authorization"].removeprefix("Bearer ")[8:]
    rows = await world.rows("SELECT integration_keys::text AS row FROM integration_keys")
    assert rows
    assert secret not in str(rows)
    assert secret.encode().hex() not in str(rows)


async def test_alertmanagers_webhook(world: World, base: str, http: aiohttp.ClientSession) -> None:
    url = f"{base}/v1/alertmanager"
    assert (await post(http, url, notification("firing", "a", "b")))[0] == 200
    assert (await post(http, url, notification("firing", "a", "b")))[0] == 200
    rows = await world.rows(
        "SELECT service, severity, summary, signal_count, alerts_firing FROM incidents"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("checkout", "critical", "checkout is down", 4, 2)
    ]
    assert (await post(http, url, notification("resolved", "a", "b")))[0] == 200
    assert await world.rows("SELECT status FROM incidents") == [{"status": "cleared"}]


async def test_one_odd_alert_never_blocks_its_group(
    world: World, base: str, http: aiohttp.ClientSession
) -> None:
    body = notification("firing", "a")
    body["alerts"].append(
        {"status": "firing", "labels": {"alertname": "odd", "severity": 7, "x": "\u0000"}}
    )
    body["alerts"].append({"status": "firing", "generatorURL": "?orgId=1", "annotations": None})
    status, answer = await post(http, f"{base}/v1/alertmanager", body)
    assert (status, answer) == (200, {"accepted": 3})
    assert [
        row["alerts_firing"] for row in await world.rows("SELECT alerts_firing FROM incidents")
    ] == [3]


@pytest.mark.parametrize("name", ["topic", "two words", "", "x" * 64, "a\nb"])
async def test_a_name_that_could_be_taken_for_another_sender_is_refused(
    world: World, name: str
) -> None:
    async with world.database.transaction() as connection:
        with pytest.raises(ValueError, match="a name has letters"):
            await create_key(connection, name, None, NOON)


async def test_another_version_is_refused_by_name(base: str, http: aiohttp.ClientSession) -> None:
    body = notification("firing", "a") | {"version": "3"}
    status, answer = await post(http, f"{base}/v1/alertmanager", body)
    assert (status, answer["field"]) == (400, "version")


async def test_postgres_down_is_503_with_retry_after_and_never_a_false_2xx(
    world: World, base: str, http: aiohttp.ClientSession
) -> None:
    structured = {"Content-Type": "application/cloudevents+json"}
    assert (await post(http, f"{base}/v1/signals", alert("before"), **structured))[0] == 202
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
    assert (await post(http, f"{base}/v1/signals", alert("after"), **structured))[0] == 202
    assert {row["signal_id"] for row in await world.rows("SELECT signal_id FROM signals")} == {
        "before",
        "after",
    }


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "application/json",
        "Application/JSON; charset=utf-8",
        " application/cloudevents+JSON ;charset=utf-8",
    ],
)
async def test_an_event_in_structured_mode_is_known_by_what_it_is(
    base: str, http: aiohttp.ClientSession, content_type: str | None
) -> None:
    request = http.post(
        f"{base}/v1/signals",
        data=orjson.dumps(alert("1")),
        headers={"Content-Type": content_type} if content_type else {},
        skip_auto_headers=["Content-Type"],
    )
    async with request as answer:
        assert answer.status == 202, await answer.text()


async def test_no_two_ids_become_one_because_they_are_not_utf_8(
    world: World, base: str, http: aiohttp.ClientSession
) -> None:
    headers = {f"ce-{name}": alert("")[name] for name in ("specversion", "source", "type")} | JSON
    for escaped in ("%FF", "%FE", "M%FCller"):
        status, body = await post(
            http, f"{base}/v1/signals", alert("")["data"], **headers, **{"ce-id": escaped}
        )
        assert (status, body["field"]) == (400, "ce-id")
    assert await world.rows("SELECT FROM signals") == []


@pytest.mark.parametrize("depth", [100, 252, 253, 254, 500, 1_023, 1_024, 5_000])
async def test_one_event_that_is_nested_too_deeply_is_refused_by_its_place(
    base: str, http: aiohttp.ClientSession, depth: int
) -> None:
    deep = orjson.dumps(alert("2"))[:-1] + b', "x": ' + b"[" * depth + b"]" * depth + b"}"
    body = b"[" + orjson.dumps(alert("1")) + b"," + deep + b"]"
    status, answer = await post(http, f"{base}/v1/signals", body, **BATCH)
    assert status == 400
    assert depth >= 1_023 or answer["field"].startswith("[1]")


async def test_an_event_larger_than_the_contract_says_is_refused_by_its_place(
    base: str, http: aiohttp.ClientSession
) -> None:
    large = alert("2", labels={f"label{n}": "\N{BELL}" * 4096 for n in range(128)})
    status, body = await post(http, f"{base}/v1/signals", [alert("1"), large], **BATCH)
    assert (status, body["field"]) == (400, "[1]")


async def test_a_time_that_cannot_be_read_costs_the_time(
    world: World, base: str, http: aiohttp.ClientSession
) -> None:
    odd = alert("1", starts_at="2016-12-31T23:59:61Z", ends_at="never") | {"time": "yesterday"}
    assert (await post(http, f"{base}/v1/signals", [odd], **BATCH))[0] == 202
    assert await world.rows("SELECT started_at FROM incidents") == [{"started_at": NOON}]


async def test_the_first_signal_of_the_readme_ends_by_its_service(
    world: World, base: str, http: aiohttp.ClientSession
) -> None:
    said = {"service": "checkout", "severity": "critical", "summary": "checkout answers 500"}
    end = {"service": "checkout", "summary": "all is well", "status": "resolved"}
    event = {"specversion": "1.0", "source": "/first", "type": "tocsin.signals.Alert"}
    for signal_id, data in (("1", said), ("2", end)):
        status, _ = await post(
            http, f"{base}/v1/signals", event | {"id": signal_id, "data": data}, **STRUCTURED
        )
        assert status == 202
    assert await world.rows("SELECT status FROM incidents") == [{"status": "cleared"}]


class TestAnAlertmanagerGroup:
    """Groups that are larger than a notification."""

    async def firing(self, world: World) -> list[tuple[str, int]]:
        rows = await world.rows("SELECT status, alerts_firing FROM incidents ORDER BY number")
        return [(row["status"], row["alerts_firing"]) for row in rows]

    async def test_it_stays_open_while_alerts_that_are_not_listed_fire(
        self, world: World, base: str, http: aiohttp.ClientSession
    ) -> None:
        url = f"{base}/v1/alertmanager"
        truncated = {"truncatedAlerts": 3}
        assert (await post(http, url, notification("firing", "a", "b") | truncated))[0] == 200
        assert await self.firing(world) == [("open", 5)]
        assert (await post(http, url, notification("resolved", "a", "b") | truncated))[0] == 200
        assert await self.firing(world) == [("open", 3)]
        assert (await post(http, url, notification("firing", "c", "d") | {"truncatedAlerts": 1}))[
            0
        ] == 200
        assert await self.firing(world) == [("open", 3)]
        over = {"truncatedAlerts": 1, "notification_reason": "all alerts resolved"}
        assert (await post(http, url, notification("resolved", "c", "d") | over))[0] == 200
        assert await self.firing(world) == [("cleared", 0)]

    async def test_what_may_be_over_ends_by_silence(
        self, world: World, base: str, http: aiohttp.ClientSession
    ) -> None:
        url = f"{base}/v1/alertmanager"
        truncated = {"truncatedAlerts": 3}
        assert (await post(http, url, notification("firing", "a", "b") | truncated))[0] == 200
        assert (await post(http, url, notification("resolved", "b", "c") | truncated))[0] == 200
        world.clock[0] += timedelta(hours=4, minutes=5)  # Alertmanager's repeat_interval
        await world.fire_due()
        assert await self.firing(world) == [("open", 4)]
        world.clock[0] += timedelta(hours=1)
        await world.fire_due()
        assert await self.firing(world) == [("cleared", 0)]

    async def test_what_an_earlier_notification_listed_is_over_with_the_group(
        self, world: World, base: str, http: aiohttp.ClientSession
    ) -> None:
        url = f"{base}/v1/alertmanager"
        for statuses in (notification("firing", "a", "b"), notification("resolved", "a")):
            assert (await post(http, url, statuses))[0] == 200
        assert await self.firing(world) == [("cleared", 0)]
        assert await world.rows("SELECT FROM alerts WHERE firing") == []

    async def test_one_alert_that_takes_over_from_another_leaves_the_incident_open(
        self, world: World, base: str, http: aiohttp.ClientSession
    ) -> None:
        url = f"{base}/v1/alertmanager"
        assert (await post(http, url, notification("firing", "a")))[0] == 200
        both = notification("resolved", "a")
        both["alerts"] += notification("firing", "b")["alerts"]
        assert (await post(http, url, both))[0] == 200
        assert await self.firing(world) == [("open", 1)]

    async def test_of_a_group_larger_than_any_what_fits_is_taken_and_the_rest_counted(
        self, world: World, base: str, http: aiohttp.ClientSession
    ) -> None:
        large = notification("firing", *(str(number) for number in range(10_001)))
        status, answer = await post(http, f"{base}/v1/alertmanager", large)
        assert (status, answer) == (200, {"accepted": 10_000})
        assert await self.firing(world) == [("open", 10_001)]
        over = notification("resolved", *(str(number) for number in range(10_001)))
        assert (await post(http, f"{base}/v1/alertmanager", over))[0] == 200
        assert await self.firing(world) == [("cleared", 0)]

    async def test_a_notification_of_many_megabytes_is_taken(
        self, world: World, base: str, http: aiohttp.ClientSession
    ) -> None:
        large = notification("firing", *(str(number) for number in range(7_000)))
        for item in large["alerts"]:
            item["annotations"] = {"description": "x" * 1_300}
        status, answer = await post(http, f"{base}/v1/alertmanager", large)
        assert (status, answer) == (200, {"accepted": 7_000})
        assert await self.firing(world) == [("open", 7_000)]


async def test_a_large_request_of_one_key_does_not_hold_up_another_key(
    world: World, base: str, http: aiohttp.ClientSession
) -> None:
    async with world.database.transaction() as connection:
        other = await create_key(connection, "other", None, NOON)
    size = 5000  # half of it in the first batch, before the other is seen
    body = orjson.dumps(
        [alert(f"large {n}", f"k{n}", labels={"a": "b" * 100}) for n in range(size)]
    )
    large = asyncio.create_task(post(http, f"{base}/v1/signals", body, **BATCH))
    answered = 0
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {other}"}) as small:
        while not large.done():
            event = alert(f"small {answered}", f"other {answered}")
            status, _ = await post(small, f"{base}/v1/signals", event, **STRUCTURED)
            assert status == 202
            answered += 1
    status, answer = await large
    assert (status, answer["accepted"]) == (202, size)
    assert {one["decision"] for one in answer["signals"]} == {"opened"}
    assert answered > 5  # before the large one; without turns it is one or two
    assert await world.rows("SELECT count(*) FROM incidents") == [{"count": size + answered}]
