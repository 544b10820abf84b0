"""Acting on an incident by the API."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import aiohttp
import pytest

from services.escalation.response import http as api
from shared.http import bodies as http
from shared.http.app import create_app
from shared.postgres.database import Database
from tests.support.http import served
from tests.support.outside import Outside, outside
from tests.support.running import TOKEN
from tests.support.stack import runtime_dsn


@pytest.fixture
async def client(database: str) -> AsyncIterator[Outside]:
    async with outside(database) as made:
        yield made


async def test_acknowledging_says_what_is_cancelled_and_a_second_time_what_is_already_so(
    client: Outside,
) -> None:
    (id,) = await client.it.triaged(1042)
    status, first = await client.api("POST", "INC-1042/acknowledge", {"by": "ana", "note": "on it"})
    assert (status, first["said"], first["changed"]) == (200, "acknowledged by ana", True)
    assert first["cut"][0] == "page to ana by webhook (step 1)"
    assert first["response"]["status"] == "acknowledged"
    status, again = await client.api("POST", f"{id}/acknowledge", {"by": "ben"})
    assert (status, again["said"], again["changed"], again["cut"]) == (
        200,
        "already acknowledged by ana",
        False,
        [],
    )


async def test_a_response_is_shown_with_its_ledger_by_number_or_id(client: Outside) -> None:
    (id,) = await client.it.triaged(1042)
    await client.api("POST", f"{id}/resolve", {"by": "ana", "note": "rolled back"})
    for reference in ("inc-1042", "1042", str(id)):
        status, shown = await client.api("GET", reference)
        assert (status, shown["incident"]) == (200, "INC-1042")
    assert (status, shown["response"]["resolution"]) == (200, "rolled back")
    (page,) = shown["deliveries"]
    assert (page["user"], page["method"], page["status"]) == ("ana", "webhook", "cut")
    assert page["why"] == ["step 1 of policy payments, round 1: user ana"]
    assert re.fullmatch("[0-9a-f]{32}", shown["trace_id"])


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        (
            "INC-7/acknowledge",
            {"by": "ana"},
            404,
            "there is no incident INC-7; name it as INC-1042 or by its UUID",
        ),
        ("seven/acknowledge", {"by": "ana"}, 404, "there is no incident seven"),
        ("INC-99999999999999999999/resolve", {"by": "ana"}, 404, "there is no incident"),
        ("INC-1042/acknowledge", {}, 422, "by: "),
        ("INC-1042/acknowledge", {"by": "a\nb"}, 422, "by: "),
        ("INC-1042/acknowledge", {"by": "ana", "note": "\x00"}, 422, "note: "),
        ("INC-1042/acknowledge", {"by": "ana", "who": 1}, 422, "who: "),
    ],
)
async def test_what_cannot_be_done_is_said_in_words(
    client: Outside, path: str, body: Any, status: int, words: str
) -> None:
    await client.it.triaged(1042)
    got, problem = await client.api("POST", path, body)
    assert got == status
    assert words in problem["detail"]


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "x"])
async def test_without_the_token_nothing_is_told_or_done(client: Outside, token: str) -> None:
    (id,) = await client.it.triaged(1042)
    for method, path in (
        ("GET", f"{id}"),
        ("POST", f"{id}/acknowledge"),
        ("POST", f"{id}/resolve"),
    ):
        status, problem = await client.api(method, path, {"by": "ana"}, token)
        assert (status, problem["status"]) == (401, 401)
    assert not await client.it.told("IncidentAcknowledged")


async def refuse(*_: object) -> None:
    """No order comes that far."""
    raise AssertionError


@pytest.mark.parametrize(
    "body", [rb'{"by": "a\u0000"}', b'{"by": "a", "note": "\\u0000"}', b"[" * 5000]
)
async def test_hostile_orders_are_refused_in_words(database: str, body: bytes) -> None:
    own = Database(runtime_dsn(database, "escalation"))
    app = create_app("escalation")
    app.include_router(api.make_router(own, refuse, "token"))
    headers = {"Authorization": "Bearer token", "Content-Type": "application/json"}
    async with (
        served(app) as base,
        aiohttp.ClientSession(headers=headers) as http,
        http.post(f"{base}/v1/incidents/INC-1/acknowledge", data=body) as answer,
    ):
        assert answer.status in (400, 422), await answer.text()
    await own.close()


async def test_a_body_without_end_is_refused_before_it_is_kept(database: str) -> None:
    own = Database(runtime_dsn(database, "escalation"))
    app = create_app("escalation")
    app.include_router(api.make_router(own, refuse, "token"))

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield bytes(1 << 20)

    async with (
        served(app) as base,
        aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as http,
    ):
        # Without a token: the framework reads bodies before it asks for one.
        with suppress(aiohttp.ClientOSError):  # the server closes while we still send
            async with http.post(f"{base}/v1/incidents/INC-1/resolve", data=endless()) as answer:
                assert answer.status == 413, await answer.text()
        async with http.post(f"{base}/v1/incidents/INC-1/resolve", data=bytes(100_000)) as answer:
            assert answer.status == 413, await answer.text()
    await own.close()


async def test_a_body_that_does_not_come_is_given_up_and_its_connection_with_it(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "BODY_SECONDS", 1.0)
    own = Database(runtime_dsn(database, "escalation"))
    app = create_app("escalation")
    app.include_router(api.make_router(own, refuse, "token"))
    head = (
        "POST /v1/incidents/INC-1/resolve HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    )
    async with served(app) as base, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(base.rpartition(":")[2]))
        writer.write(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 408 "), answer
    assert b"connection: close" in answer.lower()
    await own.close()
