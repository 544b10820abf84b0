"""Events in, states and timelines out: whatever the order, the repeats and the batches."""

import asyncio
import json
from dataclasses import replace

from services.reporting.audit.verifier import Verifier
from services.reporting.handlers import Handlers
from shared.events import reporting as states
from shared.events.facts import new_event
from shared.events.ids import uuid7
from shared.events.intake import RequestLogged, ServiceRequest
from shared.events.trace_context import new_trace
from shared.events.triage import RequestRouted
from shared.postgres.database import Database
from shared.runtime.clock import system_clock
from tests.support.feeding import Feed, whole_response
from tests.support.outage import OPENED, Outage
from tests.support.reading import ApiReader


async def test_late_and_repeated_events_end_in_the_same_state_and_timeline(
    feed: Feed, reader: ApiReader
) -> None:
    outage = Outage()
    events = whole_response(outage)
    for event in reversed(events):
        await feed.events(event)
    backwards = await reader.ask("/v1/incidents/INC-1042")
    await feed.events(*events, *events)
    assert await reader.ask("/v1/incidents/INC-1042") == backwards
    assert (backwards["status"], len(backwards["timeline"])) == ("resolved", len(events))


async def test_a_batch_publishes_each_incidents_newest_state_once(
    feed: Feed, reporting: Database
) -> None:
    outage, other = Outage(), Outage(number=1043)
    await feed.events(*whole_response(outage)[:3], other.reported())
    await feed.events(*whole_response(outage))
    await feed.events(outage.confirmed(31))  # a repeat of what is known
    async with reporting.connection() as connection:
        rows = await connection.fetch(
            "SELECT key, value FROM outbox WHERE topic = $1 ORDER BY id", states.TOPIC
        )
    published = [
        json.loads(row["value"]) for row in rows if row["key"] == str(outage.incident_id).encode()
    ]
    sequences = [int(state["sequence"]) for state in published]
    assert sequences == sorted(set(sequences))
    assert published[-1]["data"]["incident"]["status"] == "resolved"
    assert published[-1]["traceparent"][3:35] == outage.trace.trace_id
    # Three topics a batch, and one state for each at the most, however many events it has.
    assert len(published) <= 6


async def test_a_fact_that_cannot_be_stored_costs_itself_alone(
    feed: Feed, reader: ApiReader, reporting: Database
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
        verdicts = [verdict async for verdict in Verifier(connection).verify()]
    assert (letters, recorded) == (1, 2)
    assert [verdict.broken for verdict in verdicts] == [None]


async def test_two_replicas_that_meet_one_incident_lose_nothing(
    reporting: Database, reader: ApiReader
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


async def test_a_canarys_next_incident_is_not_shown_before_triage_has_decided(
    feed: Feed, reader: ApiReader
) -> None:
    first, second, third = (
        Outage(number=n, service="canary", synthetic=n < 1044) for n in (1042, 1043, 1044)
    )
    await feed.events(first.reported())
    assert await reader.numbers("/v1/incidents") == [1042], "nobody has said yet what it is"
    await feed.events(first.triaged())
    await feed.events(second.reported())
    assert await reader.numbers("/v1/incidents?synthetic=true") == [1043, 1042]
    assert (await reader.ask("/v1/incidents/INC-1043"))["synthetic"] is None

    await feed.events(third.triaged())  # the catalogue has changed its mind

    await feed.events(Outage(number=1045, service="canary").reported())
    assert await reader.numbers("/v1/incidents") == [1045, 1044]


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


async def test_a_fact_of_a_newer_service_is_in_the_timeline_by_its_name(
    feed: Feed, reader: ApiReader
) -> None:
    outage = Outage()
    known = feed.record(outage.triaged())
    document = json.loads(known.value or b"")
    document |= {"type": "tocsin.triage.IncidentSuppressed", "data": {"triage": {"new": True}}}
    await feed.events(outage.reported())
    await feed.records([replace(known, value=json.dumps(document).encode())])
    timeline = (await reader.ask("/v1/incidents/INC-1042"))["timeline"]
    assert [entry["title"] for entry in timeline] == [
        "Reported: checkout answers 5xx",
        "IncidentSuppressed",
    ]


async def test_a_batch_is_read_in_two_statements_and_written_in_one(
    reporting: Database, feed: Feed
) -> None:
    statements: list[str] = []
    handlers = Handlers(system_clock)
    async with reporting.transaction() as connection:
        for number in (1, 2):  # with the first one the driver asks for the types of arrays
            await asyncio.sleep(0)  # loggers are called a moment later
            statements.clear()
            outages = Outage(number=number), Outage(number=10 + number)
            records = [feed.record(outage.reported()) for outage in outages]
            with connection.query_logger(lambda query: statements.append(query.query)):
                await handlers.record_and_project(connection, records)
                await asyncio.sleep(0)
    assert len(statements) == 3, statements
