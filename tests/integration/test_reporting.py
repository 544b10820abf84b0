"""Events in, timelines, states, figures and answers out, on a real database."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from typer.testing import CliRunner

from services.reporting.app import build_app
from services.reporting.cli import incidents
from services.reporting.console.live import Live
from shared.events import reporting as states
from shared.events.facts import Event, new_event
from shared.events.ids import uuid7
from shared.events.intake import RequestLogged, ServiceRequest
from shared.events.trace_context import new_trace
from shared.events.triage import RequestRouted
from shared.postgres.database import Database
from tests.support.feeding import Feed
from tests.support.http import served
from tests.support.outage import OPENED, Outage, change


class Reader:
    """A program that asks the API, at a time of the test's choosing."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self.session, self.address = session, address
        self.now = OPENED + timedelta(hours=1)

    async def ask(self, path: str, status: int = 200) -> dict[str, Any]:
        async with self.session.get(self.address + path) as answer:
            body: dict[str, Any] = await answer.json(content_type=None)
            assert answer.status == status, body
            if status >= 400:
                assert answer.content_type == "application/problem+json"
            return body


@pytest.fixture
async def reader(reporting: Database) -> AsyncIterator[Reader]:
    async with aiohttp.ClientSession() as session:
        asking = Reader(session, "")
        live = Live(asyncio.Event(), asyncio.Event())
        app = build_app(reporting, lambda: asking.now, live, "http://traces/trace/{trace_id}")
        async with served(app) as asking.address:
            yield asking


def whole(outage: Outage) -> list[Event]:
    return [
        outage.reported(),
        outage.triaged(),
        outage.started(),
        outage.escalated(0.03, 1, "ana"),
        outage.paged(0.05, "ana"),
        outage.escalated(1.5, 2, "ben"),
        outage.paged(1.6, "ben", step=2),
        outage.acknowledged(2, "Ben"),
        outage.cleared(29),
        outage.resolved(30),
    ]


async def test_c58_acknowledged_after_2_minutes_and_resolved_after_30(
    feed: Feed, reader: Reader
) -> None:
    """C58: ack at +2 min, close at +30: MTTA 2 min, MTTR 30 min."""
    await feed.events(*whole(Outage()))
    figures = await reader.ask("/v1/metrics?days=30")
    assert (figures["mtta_seconds"], figures["mttr_seconds"]) == (120, 1800)
    assert (figures["acknowledged"], figures["resolved"], figures["never_acknowledged"]) == (
        1,
        1,
        0,
    )
    assert "from opening to acknowledgement" in figures["definitions"]["mtta"]


async def test_c59_an_incident_that_resolved_itself_is_never_acknowledged(
    feed: Feed, reader: Reader
) -> None:
    """C59: auto-resolved after 5 min, never acked: left out of MTTA, counted by itself, unchanged
    an hour later.
    """
    alone = Outage(number=1043)
    await feed.events(
        *whole(Outage()), alone.reported(), alone.triaged(), alone.started(), alone.cleared(5)
    )
    await feed.events(alone.resolved(5))
    first = await reader.ask("/v1/metrics")
    reader.now += timedelta(hours=1)
    assert await reader.ask("/v1/metrics") == first
    assert (first["mtta_seconds"], first["acknowledged"], first["never_acknowledged"]) == (
        120,
        1,
        1,
    )
    assert first["mttr_seconds"] == (1800 + 300) / 2


async def test_figures_are_over_the_period_asked_for(feed: Feed, reader: Reader) -> None:
    await feed.events(*whole(Outage()))
    reader.now = OPENED + timedelta(days=3)
    assert (await reader.ask("/v1/metrics?days=2"))["opened"] == 0
    assert (await reader.ask("/v1/metrics?days=2"))["mtta_seconds"] is None
    assert (await reader.ask("/v1/metrics?days=4"))["opened"] == 1


async def test_the_story_of_an_incident(feed: Feed, reader: Reader) -> None:
    outage = Outage()
    await feed.events(
        change(made_at=OPENED - timedelta(minutes=5)), change("search"), *whole(outage)
    )
    by_number = await reader.ask("/v1/incidents/inc-1042")
    assert by_number == await reader.ask(f"/v1/incidents/{outage.incident_id}")
    assert by_number["status"] == "resolved"
    assert (by_number["time_to_acknowledge_seconds"], by_number["time_to_resolve_seconds"]) == (
        120,
        1800,
    )
    assert [entry["title"] for entry in by_number["timeline"]] == [
        "Deployment v41: new payment client (5 min before the incident)",
        "Reported: checkout answers 5xx",
        "Triaged: P1, owned by payments",
        "Response started: P1 for team payments",
        "Step 1: paging ana",
        "Paged ana by webhook",
        "Step 2: paging ben",
        "Paged ben by webhook",
        "Acknowledged by Ben by link",
        "Cleared: resolved at the source",
        "Resolved: cleared at the source",
    ]
    assert [(page["user"], page["outcome"]) for page in by_number["pages"]] == [
        ("ana", "sent"),
        ("ben", "sent"),
    ]
    assert "on call" in by_number["pages"][0]["why"][0]
    assert by_number["trace_url"] == f"http://traces/trace/{outage.trace.trace_id}"


async def test_late_and_repeated_events_end_in_the_same_state_and_timeline(
    feed: Feed, reader: Reader
) -> None:
    outage = Outage()
    events = whole(outage)
    for event in reversed(events):
        await feed.events(event)
    backwards = await reader.ask("/v1/incidents/INC-1042")
    await feed.events(*events, *events)
    assert await reader.ask("/v1/incidents/INC-1042") == backwards
    assert (backwards["status"], len(backwards["timeline"])) == ("resolved", len(events))


async def test_a_batch_tells_each_incidents_newest_state_once(
    feed: Feed, reporting: Database
) -> None:
    outage, other = Outage(), Outage(number=1043)
    await feed.events(*whole(outage)[:3], other.reported())
    await feed.events(*whole(outage))
    await feed.events(outage.confirmed(31))  # a repeat of what is known
    async with reporting.connection() as connection:
        rows = await connection.fetch(
            "SELECT key, value FROM outbox WHERE topic = $1 ORDER BY id", states.TOPIC
        )
    told = [
        json.loads(row["value"]) for row in rows if row["key"] == str(outage.incident_id).encode()
    ]
    sequences = [int(state["sequence"]) for state in told]
    assert sequences == sorted(set(sequences))
    assert told[-1]["data"]["incident"]["status"] == "resolved"
    assert told[-1]["traceparent"][3:35] == outage.trace.trace_id
    # Three topics a batch, and one state for each at the most, however many events it has.
    assert len(told) <= 6


async def test_a_fact_that_cannot_be_stored_costs_itself_alone(
    feed: Feed, reader: Reader, reporting: Database
) -> None:
    bad = Outage(number=1044, summary="a NUL \x00 inside")
    good = Outage(number=1045)
    await feed.events(bad.reported(), good.reported())
    assert (await reader.ask("/v1/incidents/INC-1045"))["summary"] == good.summary
    await reader.ask("/v1/incidents/INC-1044", 404)
    async with reporting.connection() as connection:
        letters = await connection.fetchval(
            "SELECT count(*) FROM outbox WHERE topic = 'tocsin.dead-letters.v1'"
        )
        recorded = await connection.fetchval("SELECT count(*) FROM audit")
    assert (letters, recorded) == (1, 2)


async def test_two_replicas_that_meet_one_incident_lose_nothing(
    reporting: Database, reader: Reader
) -> None:
    """Intake's partition is read by one, escalation's by the other, at the same time."""
    outages = [Outage(number=2000 + n) for n in range(20)]
    reported = [outage.reported() for outage in outages]
    started = [outage.started() for outage in outages]
    await asyncio.gather(
        Feed(reporting).events(*reported), Feed(reporting).events(*reversed(started))
    )
    page = await reader.ask("/v1/incidents?status=triggered&limit=200")
    assert {i["number"] for i in page["incidents"] if i["opened_at"]} == {
        outage.number for outage in outages
    }


async def test_pages_of_the_list_meet_without_gap_or_overlap(feed: Feed, reader: Reader) -> None:
    for number in range(1000, 1007):
        await feed.events(
            Outage(number=number, team="payments" if number % 2 else "search").triaged()
        )
    seen: list[int] = []
    path = "/v1/incidents?limit=3"
    while True:
        page = await reader.ask(path)
        seen += [incident["number"] for incident in page["incidents"]]
        if page["next"] is None:
            break
        path = f"/v1/incidents?limit=3&before={page['next']}"
    assert seen == list(range(1006, 999, -1))
    ours = await reader.ask("/v1/incidents?team=search&status=open")
    assert [incident["number"] for incident in ours["incidents"]] == [1006, 1004, 1002, 1000]
    assert (await reader.ask("/v1/incidents?status=resolved"))["incidents"] == []


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/v1/incidents?limit=0", 422, "limit"),
        ("/v1/incidents?limit=many", 422, "limit"),
        ("/v1/incidents?status=asleep", 422, "status"),
        ("/v1/incidents?before=yesterday", 400, "before"),
        ("/v1/metrics?days=0", 422, "days"),
        ("/v1/incidents/INC-x", 400, "incident"),
        ("/v1/incidents/INC-99999", 404, "incident"),
        ("/v1/incidents/INC-99999999999999999999", 400, "incident"),
        (f"/v1/incidents/{uuid7()}", 404, "incident"),
    ],
)
async def test_a_bad_request_names_the_field(
    reader: Reader, path: str, status: int, field: str
) -> None:
    answer = await reader.ask(path, status)
    assert answer["field"] == field
    assert answer["status"] == status


async def test_a_canarys_incidents_are_in_no_figure_and_no_list_but_their_own(
    feed: Feed, reader: Reader
) -> None:
    real, canary = Outage(), Outage(number=1043, service="canary", synthetic=True)
    await feed.events(*whole(real))
    before = await reader.ask("/v1/metrics")

    await feed.events(*whole(canary))

    assert await reader.ask("/v1/metrics") == before
    assert await numbers(reader, "/v1/incidents") == [1042]
    assert await numbers(reader, "/v1/incidents?synthetic=true") == [1043]
    story = await reader.ask("/v1/incidents/INC-1043")
    assert (story["synthetic"], story["status"]) == (True, "resolved")
    assert (await reader.ask("/v1/incidents/INC-1042"))["synthetic"] is False


async def test_a_canarys_next_incident_is_not_shown_before_triage_has_spoken_of_it(
    feed: Feed, reader: Reader
) -> None:
    first, second, third = (
        Outage(number=n, service="canary", synthetic=n < 1044) for n in (1042, 1043, 1044)
    )
    await feed.events(first.reported())
    assert await numbers(reader, "/v1/incidents") == [1042], "nobody has said yet what it is"
    await feed.events(first.triaged())
    await feed.events(second.reported())
    assert await numbers(reader, "/v1/incidents?synthetic=true") == [1043, 1042]
    assert (await reader.ask("/v1/incidents/INC-1043"))["synthetic"] is None

    await feed.events(third.triaged())  # the catalogue has changed its mind

    await feed.events(Outage(number=1045, service="canary").reported())
    assert await numbers(reader, "/v1/incidents") == [1045, 1044]


async def numbers(reader: Reader, path: str) -> list[int]:
    return [incident["number"] for incident in (await reader.ask(path))["incidents"]]


async def test_a_request_is_listed_whether_its_routing_or_its_logging_is_read_first(
    feed: Feed, reporting: Database
) -> None:
    for first_is_routing in (True, False):
        request = ServiceRequest(
            request_id=uuid7(), source="portal", summary="a new laptop", received_at=OPENED
        )
        logged = RequestLogged(request=request)
        routed = RequestRouted(
            request=request,
            request_id=request.request_id,
            team="desk",
            reasons=["default"],
            policy_version="1",
        )
        facts = [routed, logged] if first_is_routing else [logged, routed]
        for fact in facts:
            await feed.events(new_event(request.request_id, 1, OPENED, fact, new_trace()))
    async with reporting.connection() as connection:
        assert [r["team"] for r in await connection.fetch("SELECT team FROM requests")] == [
            "desk",
            "desk",
        ]


async def test_the_command_line_lists_and_shows(
    feed: Feed, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    outage = Outage(summary="down [bold]\x1b[31mred")
    await feed.events(*whole(outage)[:-2])
    monkeypatch.setenv("TOCSIN_CONSOLE_URL", reader.address)
    monkeypatch.setenv("COLUMNS", "160")

    async def run(*arguments: str) -> Any:
        return await asyncio.to_thread(CliRunner().invoke, incidents, list(arguments))

    listed = await run("list")
    assert "INC-1042" in listed.stdout
    assert (
        "down [bold] [31mred" in listed.stdout
    )  # neither markup nor an escape sequence of a sender's works
    shown = await run("show", "INC-1042")
    assert "Acknowledged by Ben by link" in shown.stdout
    assert "on call" in shown.stdout
    as_json = json.loads((await run("show", "INC-1042", "--json")).stdout)
    assert as_json["acknowledged_by"] == "Ben"
    missing = await run("show", "INC-7")
    assert (missing.exit_code, missing.stderr) == (1, "tocsin: there is no incident INC-7\n")
