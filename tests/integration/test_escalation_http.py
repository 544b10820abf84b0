"""Acting on an incident from outside: the API, the links in pages, the command line."""

import re
import sys
from asyncio import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from services.escalation.links import http as links_page
from services.escalation.links.domain import Link
from services.escalation.response import http as api
from shared.http.app import create_app
from tests.support.escalating import World, world
from tests.support.http import served
from tests.support.running import TOKEN


@dataclass
class Outside:
    """Escalation's HTTP side and a client."""

    it: World
    base: str
    client: aiohttp.ClientSession

    async def api(
        self, method: str, path: str, body: Any = None, token: str = TOKEN
    ) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {token}"}
        async with self.client.request(
            method, f"{self.base}/v1/incidents/{path}", json=body, headers=headers
        ) as got:
            return got.status, await got.json(content_type=None)

    async def link(self, method: str, link: str) -> tuple[int, str, dict[str, str]]:
        async with self.client.request(method, f"{self.base}/a/{link}") as got:
            return (
                got.status,
                await got.text(),
                {name.lower(): value for name, value in got.headers.items()},
            )

    def token(self, id: UUID, action: Any = "acknowledge", user: str = "ana") -> str:
        return self.it.links.url(id, user, action, self.it.clock()).rpartition("/")[2]


@pytest.fixture
async def outside(database: str) -> AsyncIterator[Outside]:
    async with world(database, "http://127.0.0.1:9") as it:
        app = create_app("test")
        app.include_router(api.make_router(it.database, it.clock, TOKEN))
        app.include_router(links_page.make_router(it.database, it.clock, it.links))
        async with served(app) as base, aiohttp.ClientSession() as client:
            yield Outside(it, base, client)


async def test_acknowledging_says_what_was_cut_and_a_second_time_what_is_already_so(
    outside: Outside,
) -> None:
    (id,) = await outside.it.triaged(1042)
    status, first = await outside.api(
        "POST", "INC-1042/acknowledge", {"by": "ana", "note": "on it"}
    )
    assert (status, first["said"], first["changed"]) == (200, "acknowledged by ana", True)
    assert first["cut"][0] == "page to ana by webhook (step 1)"
    assert first["response"]["status"] == "acknowledged"
    status, again = await outside.api("POST", f"{id}/acknowledge", {"by": "ben"})
    assert (status, again["said"], again["changed"], again["cut"]) == (
        200,
        "already acknowledged by ana",
        False,
        [],
    )


async def test_a_response_can_be_looked_at_with_its_ledger(outside: Outside) -> None:
    (id,) = await outside.it.triaged(1042)
    await outside.api("POST", f"{id}/resolve", {"by": "ana", "note": "rolled back"})
    status, shown = await outside.api("GET", "inc-1042")
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
    outside: Outside, path: str, body: Any, status: int, words: str
) -> None:
    await outside.it.triaged(1042)
    got, problem = await outside.api("POST", path, body)
    assert got == status
    assert words in problem["detail"]


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "x"])
async def test_without_the_token_nothing_is_told_or_done(outside: Outside, token: str) -> None:
    (id,) = await outside.it.triaged(1042)
    for method, path in (
        ("GET", f"{id}"),
        ("POST", f"{id}/acknowledge"),
        ("POST", f"{id}/resolve"),
    ):
        status, problem = await outside.api(method, path, {"by": "ana"}, token)
        assert (status, problem["status"]) == (401, 401)
    assert not await outside.it.told("IncidentAcknowledged")


async def test_c53_looking_at_a_link_changes_nothing_and_the_button_then_works(
    outside: Outside,
) -> None:
    (id,) = await outside.it.triaged(1042)
    link = outside.token(id)
    before = await outside.it.rows("SELECT state::text, sequence FROM incidents")
    for _ in range(10):
        assert (await outside.link("HEAD", link))[0] == 200
        status, html, headers = await outside.link("GET", link)
    assert status == 200
    assert "Acknowledge INC-1042" in html
    assert html.count("<button") == 1
    assert await outside.it.rows("SELECT state::text, sequence FROM incidents") == before
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "noindex" in headers["x-robots-tag"]
    assert not re.search(r"(src|href)=", html), "nothing from elsewhere"

    status, html, _ = await outside.link("POST", link)
    assert status == 200
    assert "Acknowledged by ana." in html
    ((_, told),) = await outside.it.told("IncidentAcknowledged")
    assert (told["data"]["by"], told["data"]["via"]) == ("ana", "link")
    assert "It is already acknowledged by ana." in (await outside.link("POST", link))[1]
    assert "<button" not in (await outside.link("GET", link))[1]


async def test_a_resolve_link_resolves(outside: Outside) -> None:
    (id,) = await outside.it.triaged(1042)
    assert (
        "Resolved by ben." in (await outside.link("POST", outside.token(id, "resolve", "ben")))[1]
    )
    assert "It is already resolved by ben." in (await outside.link("POST", outside.token(id)))[1]


async def test_a_link_that_is_forged_or_old_does_nothing(outside: Outside) -> None:
    (id,) = await outside.it.triaged(1042)
    late = outside.it.links.token(
        Link(id, "ana", "acknowledge", outside.it.clock() - timedelta(seconds=1))
    )
    for link in (outside.token(id)[:-3], "x", late):
        for method in ("GET", "POST"):
            status, html, _ = await outside.link(method, link)
            assert status == 403
            assert "This link" in html
            assert "disk full" not in html
    assert not await outside.it.told("IncidentAcknowledged")


async def test_a_summary_is_text_on_the_page_whatever_is_in_it(outside: Outside) -> None:
    (id,) = await outside.it.triaged(1042)
    async with outside.it.database.transaction() as connection:
        await connection.execute(
            "UPDATE incidents SET state = jsonb_set(state, '{response,summary}', $1)",
            "<script>alert(1)</script>",
        )
    html = (await outside.link("GET", outside.token(id)))[1]
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


async def tocsin(outside: Outside, *arguments: str, token: str = TOKEN) -> tuple[int, str]:
    environment = {
        "TOCSIN_ESCALATION_URL": outside.base,
        "TOCSIN_API_TOKEN": token,
        "PATH": "/usr/bin:/bin",
    }
    process = await subprocess.create_subprocess_exec(
        sys.executable,
        "-m",
        "shared.runtime.cli",
        *arguments,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_the_command_line_acknowledges_and_resolves(outside: Outside) -> None:
    (id,) = await outside.it.triaged(1042)
    status, output = await tocsin(outside, "incidents", "ack", "INC-1042", "--by", "ana")
    assert status == 0, output
    assert "INC-1042: acknowledged by ana" in output
    assert "cut: page to ana by webhook (step 1)" in output
    status, output = await tocsin(
        outside, "incidents", "resolve", str(id), "--by", "ana", "--note", "rolled back"
    )
    assert (status, output.splitlines()[0]) == (0, "INC-1042: resolved by ana")


async def test_the_command_line_says_what_is_wrong_in_one_line(outside: Outside) -> None:
    assert await tocsin(outside, "incidents", "ack", "INC-7", "--by", "ana") == (
        1,
        "tocsin: there is no incident INC-7; name it as INC-1042 or by its UUID\n",
    )
    status, output = await tocsin(
        outside, "incidents", "ack", "INC-7", "--by", "ana", token="wrong"
    )
    assert (status, output) == (1, "tocsin: Authorization: send `Bearer <TOCSIN_API_TOKEN>`\n")
