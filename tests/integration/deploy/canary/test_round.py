"""What the canary reports when a round fails, against a Tocsin that misbehaves on purpose."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
import orjson
from aiohttp import web
from standardwebhooks import Webhook

from deploy.canary.client import Client
from deploy.canary.receiver import PageReceiver
from deploy.canary.round import Canary, Report
from tests.support.http import listening
from tests.support.running import SECRET

OTHER = "whsec_" + "YW5vdGhlciBzZWNyZXQgb2YgdGhlIHRlc3RzLCBzYW1lIGxlbmd0aA=="
INCIDENT = "0f9a1a53-9f0d-5c6e-8f4f-3c2a7d0f5b11"


@dataclass
class Tocsin:
    """A fake Tocsin behind one address; each field makes one part of it misbehave."""

    receiver: PageReceiver
    refusals: int = 0
    odd: str = ""
    leftover: bool = False
    page_secret: str = SECRET
    pages_sent: bool = True
    synthetic: bool | None = True
    links_work: bool = True
    clears_work: bool = True
    status: str = "triggered"
    url: str = ""
    signals: list[dict[str, Any]] = field(default_factory=list)

    async def signal(self, request: web.Request) -> web.Response:
        if self.refusals:
            self.refusals -= 1
            raise web.HTTPServiceUnavailable(text='{"detail": "too many signals are waiting"}')
        self.signals += (events := await request.json())
        *_, last = events
        if last["data"]["status"] == "firing" and self.pages_sent:
            self._page(last["data"]["summary"])
        elif last["data"]["status"] == "resolved" and self.clears_work:
            self.status = "resolved"
        before = "cleared" if self.leftover else "nothing was open"
        taken = [{"decision": before, "subject": None}, {"decision": "opened", "subject": INCIDENT}]
        return web.json_response(
            {"signals": ["taken"] if self.odd == "signals" else taken[-len(events) :]}, status=202
        )

    def _page(self, summary: str) -> None:
        data = {"incident_id": INCIDENT, "incident": "INC-7", "summary": summary}
        body = orjson.dumps({"data": data | {"acknowledge_url": f"{self.url}/a/secret-token"}})
        now = datetime.now(UTC)
        signature = Webhook(self.page_secret).sign("1", now, body.decode())
        headers = {
            "webhook-id": "1",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signature,
        }
        assert self.receiver.receive(headers, body) == (204 if self.page_secret == SECRET else 401)

    async def acknowledge(self, _: web.Request) -> web.Response:
        if not self.links_work:
            raise web.HTTPForbidden(text="<html>This link has expired.</html>")
        self.status = "acknowledged"
        return web.Response()

    async def incident(self, _: web.Request) -> web.Response:
        failed = {"user": "canary", "method": "webhook", "outcome": "failed", "error": "HTTP 500"}
        incident = {
            "status": self.status,
            "team": "canary",
            "waiting_on": "canary",
            "synthetic": self.synthetic,
        }
        return web.json_response({} if self.odd == "incident" else incident | {"pages": [failed]})

    async def run_round(self, patience: float) -> Report:
        async with aiohttp.ClientSession() as http:
            return await Canary(
                Client(http, self.url, self.url, "key"), self.receiver, "c", "canary", patience
            ).run_round()


@asynccontextmanager
async def faulty_tocsin(**faults: Any) -> AsyncIterator[Tocsin]:
    """A fake Tocsin with these faults, listening inside the block."""
    fake = Tocsin(PageReceiver(SECRET), **faults)
    app = web.Application()
    app.router.add_post("/v1/signals", fake.signal)
    app.router.add_post("/a/{token}", fake.acknowledge)
    app.router.add_get("/v1/incidents/{id}", fake.incident)
    async with listening(app) as fake.url:
        yield fake


async def test_a_signal_that_is_refused_at_first_is_sent_again() -> None:
    async with faulty_tocsin(refusals=2) as tocsin:
        report = await tocsin.run_round(patience=30)
    assert (report.result, report.reason, report.incident) == ("passed", "", "INC-7")
    assert report.stages.keys() == {"accept", "page", "acknowledge", "resolve"}
    assert max(report.stages.values()) <= report.seconds
    assert [event["data"]["status"] for event in tocsin.signals] == [
        "resolved",
        "firing",
        "resolved",
    ]
    assert len({(event["source"], event["data"]["key"]) for event in tocsin.signals}) == 1
    assert not report.closed_leftover


async def test_closing_the_leftover_of_an_earlier_round_is_reported() -> None:
    async with faulty_tocsin(leftover=True) as tocsin:
        assert (await tocsin.run_round(patience=30)).closed_leftover


FAULTS: Sequence[tuple[dict[str, Any], str, str]] = (
    (
        {"refusals": 1000},
        "not_accepted",
        "not within 3 s; last: HOST answered 503: too many signals are waiting",
    ),
    ({"odd": "signals"}, "not_accepted", "signal accepted: not within 3 s; last: ValueError"),
    ({"odd": "incident", "pages_sent": False}, "not_paged", "reporting cannot say why (KeyError"),
    (
        {"pages_sent": False},
        "not_paged",
        "canary by webhook failed, HTTP 500; it is triggered, team canary",
    ),
    (
        {"page_secret": OTHER},
        "not_paged",
        "a page arrived whose signature does not match TOCSIN_WEBHOOK_SECRET",
    ),
    (
        {"links_work": False},
        "not_acknowledged",
        "acknowledge link called: not within 3 s; last: HOST answered 403",
    ),
    ({"synthetic": None}, "not_acknowledged", "acknowledged in reporting: not within 3 s"),
    (
        {"synthetic": False},
        "not_synthetic",
        "mark service canary with `synthetic: true` in catalogue.yaml",
    ),
    ({"clears_work": False}, "not_resolved", "last: it is acknowledged, waiting on canary"),
)


async def test_a_failed_round_names_what_was_expected_and_clears_its_alert() -> None:
    async def fails(faults: dict[str, Any], result: str, reason: str) -> None:
        async with faulty_tocsin(**faults) as tocsin:
            report = await tocsin.run_round(patience=3)
        assert report.result == result, (faults, report.reason)
        assert reason.replace("HOST", tocsin.url) in report.reason
        assert "secret-token" not in report.reason, "the link of a page is a credential"
        if result != "not_accepted":
            assert tocsin.signals[-1]["data"]["status"] == "resolved"

    await asyncio.gather(*(fails(*case) for case in FAULTS))


async def test_a_tocsin_that_does_not_listen_is_reported() -> None:
    tocsin = Tocsin(PageReceiver(SECRET), url="http://127.0.0.1:1")
    report = await tocsin.run_round(patience=1)
    assert report.result == "not_accepted"
    assert "Cannot connect to host 127.0.0.1:1" in report.reason
