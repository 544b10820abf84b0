"""The response to an incident on a real database: who is paged, what people do, and that nothing
stalls.
"""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared.events.cloudevents import CloudEvent, Malformed
from shared.events.trace_context import new_trace
from shared.events.triage import IncidentSubsided, IncidentTriaged, TriageConfirmed
from shared.postgres.errors import Conflict
from shared.postgres.writes import write_together
from tests.support.escalating import Receiver, World, sending, world


@pytest.fixture
async def it(database: str) -> AsyncIterator[World]:
    async with world(database, "http://127.0.0.1:9") as made:
        yield made


def names(told: list[tuple[str, dict[str, object]]]) -> list[str]:
    return [name for name, _ in told]


async def test_an_unanswered_incident_climbs_step_by_step_in_its_own_trace(it: World) -> None:
    trace = new_trace()
    await it.triaged(1042, trace=trace)
    it.clock.jump(seconds=60)
    assert await it.fire_due() == 1
    assert [(row["user_id"], row["step"], row["round"]) for row in await it.ledger()] == [
        ("ana", 1, 1),
        ("ben", 2, 1),
    ]
    it.clock.jump(seconds=60)
    await it.fire_due()
    assert [(row["user_id"], row["step"], row["round"]) for row in await it.ledger()][2:] == [
        ("ana", 1, 2)
    ]
    told = await it.told()
    assert names(told) == ["ResponseStarted"] + ["IncidentEscalated"] * 3
    assert [int(event["sequence"]) for _, event in told] == [1, 2, 3, 4]
    assert {event["traceparent"][3:35] for _, event in told} == {trace.trace_id}
    assert {row["traceparent"][3:35] for row in await it.ledger()} == {trace.trace_id}


async def test_every_open_incident_has_a_due_timer_or_waits_on_somebody(it: World) -> None:
    """I2, through a whole night that nobody answers."""
    for hours in (0, *[0.02] * 4, *[1.1] * 8):
        if hours == 0:
            await it.triaged(1, 2, 3)
            await it.act(2, "acknowledge")
        it.clock.jump(hours=hours)
        await it.fire_due()
        stalled = await it.rows(
            """
            SELECT number FROM incidents i
            WHERE status <> 'resolved'
              AND (state #>> '{response,waiting_on}' = ''
                   OR status = 'triggered'
                   AND NOT EXISTS (SELECT FROM timers t WHERE t.subject = i.id))
            """
        )
        assert not stalled
    keys = [row["attempt_key"] for row in await it.ledger()]
    assert len(keys) > 20
    pages = [
        (r["incident_id"], r["round"], r["step"], r["user_id"], r["method"])
        for r in await it.ledger()
    ]
    assert len(set(keys)) == len(set(pages)) == len(pages), "I3"


async def test_the_same_timer_twice_begins_one_step(it: World) -> None:
    await it.triaged(1042)
    it.clock.jump(seconds=60)
    async with it.database.transaction() as connection:
        await connection.execute(
            """
            INSERT INTO timers (kind, subject, due_at, payload)
            SELECT kind, subject, due_at, payload FROM timers
            """
        )
    assert await it.fire_due() == 2
    assert len(await it.ledger()) == 2
    assert names(await it.told("IncidentEscalated")) == ["IncidentEscalated"] * 2


async def test_news_of_triage_is_kept_without_paging_again(it: World) -> None:
    (id,) = await it.triaged(1042)
    await it.tell(
        (id, it.fact(id, TriageConfirmed, seen=7)), (id, it.fact(id, IncidentTriaged, seen=9))
    )
    assert len(await it.ledger()) == 1
    assert (await it.act(id, "resolve")).incident.response.intake_sequence == 9


async def test_an_acknowledgement_after_the_source_resolved_is_a_no_op(it: World) -> None:
    (id,) = await it.triaged(1042)
    await it.tell((id, it.fact(id, IncidentSubsided, seen=2)))
    answer = await it.act(id, "acknowledge")
    assert (answer.acted, answer.said) == (False, "already resolved by source")
    assert answer.incident.response.status == "resolved"
    assert names(await it.told())[-1] == "IncidentResolved"


async def test_an_acknowledged_incident_resolves_when_its_source_clears(it: World) -> None:
    (id,) = await it.triaged(1042)
    await it.act(id, "acknowledge", by="ben")
    await it.tell((id, it.fact(id, IncidentSubsided, seen=2)))
    (resolved,) = await it.told("IncidentResolved")
    response = resolved[1]["data"]["response"]
    assert (response["status"], response["acknowledged_by"], response["intake_sequence"]) == (
        "resolved",
        "ben",
        2,
    )


async def test_an_incident_that_clears_in_the_batch_it_came_in_pages_nobody(it: World) -> None:
    id = uuid4()
    await it.tell((id, it.fact(id, IncidentTriaged)), (id, it.fact(id, IncidentSubsided, seen=2)))
    assert [row["status"] for row in await it.ledger()] == ["cut"]
    it.clock.jump(hours=1)
    await it.fire_due()
    assert [row["status"] for row in await it.ledger()] == ["cut"]


async def test_two_people_acknowledge_at_once_and_one_is_told_of_the_other(it: World) -> None:
    (id,) = await it.triaged(1042)
    answers = await asyncio.gather(
        *(it.act(id, "acknowledge", by=by) for by in ("ana", "ben", "cleo"))
    )
    first = next(answer for answer in answers if answer.acted)
    assert [answer.said for answer in answers if not answer.acted] == [f"already {first.said}"] * 2
    assert len(await it.told("IncidentAcknowledged")) == 1


def command(name: str, incident_id: object, **data: object) -> CloudEvent:
    data = {"incident_id": str(incident_id), "by": "deploy-bot"} | data
    return CloudEvent(id="1", source="/bot", type=f"tocsin.commands.{name}", data=data)


async def test_another_system_acknowledges_and_resolves_by_topic_and_repeats_itself(
    it: World,
) -> None:
    (id,) = await it.triaged(1042)
    await it.command(command("AcknowledgeIncident", id), command("AcknowledgeIncident", id))
    await it.command(command("ResolveIncident", id, note="rolled back"))
    told = await it.told()
    assert names(told)[-2:] == ["IncidentAcknowledged", "IncidentResolved"]
    last = told[-1][1]["data"]
    assert (last["by"], last["via"], last["response"]["resolution"]) == (
        "deploy-bot",
        "topic",
        "rolled back",
    )


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (command("AcknowledgeIncident", uuid4()), "data.incident_id: there is no incident"),
        (command("AcknowledgeIncident", "INC-7"), "data.incident_id: "),
        (command("AcknowledgeIncident", uuid4(), by=""), "data.by: "),
        (command("Explode", uuid4()), "type: tocsin.commands.Explode is no command"),
    ],
)
async def test_a_command_that_cannot_be_obeyed_says_why(
    it: World, bad: CloudEvent, reason: str
) -> None:
    with pytest.raises(Malformed, match=reason):
        await it.command(bad)


@pytest.fixture
async def paged(database: str, webhooks: Receiver) -> AsyncIterator[World]:
    async with world(database, webhooks.url) as made:
        yield made


async def test_steps_pages_acknowledgement_and_resolution_are_spans_of_the_incidents_trace(
    paged: World, webhooks: Receiver, spans: InMemorySpanExporter
) -> None:
    start, end = new_trace(), None
    async with sending(paged):
        (id,) = await paged.triaged(1042, trace=start)
        await paged.page("sent", user_id="ana")
        paged.clock.jump(seconds=60)
        await paged.fire_due()
        await paged.page("sent", user_id="ben")
        await paged.act(id, "acknowledge")
        end = start._replace(traceparent=f"00-{start.trace_id}-{'b' * 16}-01")
        await paged.tell((id, paged.fact(id, IncidentSubsided)), trace=end)
    finished = spans.get_finished_spans()
    names = {span.context.span_id: span.name for span in finished}
    names |= {int(start.traceparent[36:52], 16): "triage", int("b" * 16, 16): "triage, later"}
    assert {f"{span.context.trace_id:032x}" for span in finished} == {start.trace_id}
    edges = {(names[span.parent.span_id], span.name) for span in finished if span.parent}
    assert edges == {
        ("triage", "escalate"),
        ("escalate", "page webhook"),
        ("escalate", "escalate"),
        ("escalate", "acknowledge"),
        ("triage, later", "resolve"),
    }
    told = {name: event["traceparent"][36:52] for name, event in await paged.told()}
    for fact, span in (
        ("PageSent", "page webhook"),
        ("IncidentAcknowledged", "acknowledge"),
        ("IncidentResolved", "resolve"),
    ):
        assert names[int(told[fact], 16)] == span
    assert [hit.headers["traceparent"][36:52] for hit in webhooks.hits] == [
        f"{span.context.span_id:016x}" for span in finished if span.name == "page webhook"
    ]


async def test_who_acts_from_another_trace_is_linked_and_does_not_take_the_incident_away(
    paged: World, spans: InMemorySpanExporter
) -> None:
    start, caller = new_trace(), new_trace()
    (id,) = await paged.triaged(1042, trace=start)
    await paged.act(id, "acknowledge", caller=caller)
    (span,) = (span for span in spans.get_finished_spans() if span.name == "acknowledge")
    assert f"{span.context.trace_id:032x}" == start.trace_id
    assert [f"{link.context.trace_id:032x}" for link in span.links] == [caller.trace_id]


async def test_a_response_that_was_started_meanwhile_is_not_started_again(it: World) -> None:
    id = uuid4()
    record = it.record(id, it.fact(id, IncidentTriaged))
    async with it.database.connection() as connection:
        writes = await it.handlers.start_responses(connection, [record])
        await it.tell((id, it.fact(id, IncidentTriaged)))
        with pytest.raises(Conflict):
            await write_together(connection, writes)

    assert names(await it.told()) == ["ResponseStarted", "IncidentEscalated"]
    assert len(await it.ledger()) == 1
