"""What arrived is recorded without a lock, unless somebody else saves the incident or the page at
the same time.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from services.escalation.delivery import store as ledger
from services.escalation.delivery.domain.failure import Failure
from services.escalation.delivery.domain.settlement import Claim, Result
from services.escalation.delivery.recorder import Recorder
from shared.events.trace_context import new_trace
from shared.postgres.connection import Connection
from tests.support.escalating import Receiver, World, world

REFRESH = """
    UPDATE incidents SET state = jsonb_set(state, '{response,waiting_on}', '"the refresh"')
    WHERE id = $1
"""
CLAIM_AGAIN = "UPDATE deliveries SET attempts = attempts + 1 WHERE incident_id = $1"
CANCEL = "UPDATE deliveries SET status = 'cut' WHERE incident_id = $1"

ANSWERED_AT = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)

Change = Callable[[World, UUID], Awaitable[object]]


@pytest.fixture
async def it(database: str, webhooks: Receiver) -> AsyncIterator[World]:
    async with world(database, webhooks.url) as made:
        yield made


async def claimed(it: World, *numbers: int, team: str = "payments") -> list[Claim]:
    """Pages of new incidents, claimed by a sender."""
    await it.triaged(*numbers, team=team)
    async with it.database.connection() as connection:
        now = it.clock()
        lease = now + timedelta(minutes=1)
        return await ledger.claim_deliveries(connection, now, lease, {}, 100, 100)


def arrived(claims: Sequence[Claim]) -> list[Result]:
    return [Result(claim, None, new_trace(), ANSWERED_AT) for claim in claims]


def between(monkeypatch: pytest.MonkeyPatch, change: Callable[[], Awaitable[object]]) -> None:
    """Somebody makes a change after the recorder's read and before its write."""
    read = ledger.read_results

    async def read_then_change(
        connection: Connection, claims: Sequence[Claim]
    ) -> tuple[Mapping[str, ledger.SeenIncident], int]:
        seen = await read(connection, claims)
        await change()
        return seen

    monkeypatch.setattr(ledger, "read_results", read_then_change)


async def record_arrived(it: World, results: Sequence[Result]) -> bool:
    async with it.database.connection() as connection:
        return await Recorder(lambda: it.teams).record_arrived(connection, results, it.clock())


async def record(it: World, results: Sequence[Result]) -> None:
    async with it.database.transaction() as connection:
        await Recorder(lambda: it.teams).record(connection, results, it.clock())


async def sequences(it: World) -> list[int]:
    return [row["sequence"] for row in await it.rows("SELECT sequence FROM incidents ORDER BY id")]


async def all_rows(it: World) -> list[Any]:
    """Everything that a record could change."""
    return [
        await it.rows("SELECT * FROM deliveries ORDER BY attempt_key"),
        await it.rows("SELECT * FROM incidents ORDER BY id"),
        await it.rows("SELECT id FROM outbox ORDER BY id"),
    ]


async def test_pages_that_arrived_are_recorded_once_however_often_that_is_tried(it: World) -> None:
    claims = await claimed(it, 1, 2, 3)
    before = await sequences(it)

    assert await record_arrived(it, arrived(claims))

    assert [row["status"] for row in await it.ledger()] == ["sent"] * 3
    assert await sequences(it) == [sequence + 1 for sequence in before]
    sent = await it.told("PageSent")
    keys = {event["data"]["page"]["attempt_key"] for _, event in sent}
    assert keys == {claim.order.attempt_key for claim in claims}
    recorded = await all_rows(it)
    assert await record_arrived(it, arrived(claims)), "as after a commit whose answer was lost"
    assert await all_rows(it) == recorded


@pytest.mark.parametrize("recording", [record_arrived, record], ids=["alone", "in a transaction"])
async def test_a_page_arrived_when_it_was_answered_not_when_that_is_recorded(
    it: World, recording: Callable[[World, Sequence[Result]], Awaitable[object]]
) -> None:
    """Else somebody acknowledges a page before it has arrived."""
    claims = await claimed(it, 1)

    await recording(it, arrived(claims))

    assert [row["sent_at"] for row in await it.ledger()] == [ANSWERED_AT]
    ((_, event),) = await it.told("PageSent")
    assert datetime.fromisoformat(event["time"]) == ANSWERED_AT
    assert datetime.fromisoformat(event["data"]["sent_at"]) == ANSWERED_AT


async def test_two_pages_of_one_incident_have_a_sequence_each(it: World) -> None:
    claims = await claimed(it, 1, team="both")
    assert len({claim.order.incident_id for claim in claims}) < len(claims)
    (before,) = await sequences(it)

    assert await record_arrived(it, arrived(claims))

    sent = [int(event["sequence"]) for _, event in await it.told("PageSent")]
    assert sent == [before + number for number in range(1, len(claims) + 1)]
    assert await sequences(it) == sent[-1:]


async def test_a_failure_is_left_to_the_transaction(it: World) -> None:
    claims = await claimed(it, 1, 2)
    results = [
        *arrived(claims[:1]),
        Result(claims[1], Failure("HTTP 503"), new_trace(), ANSWERED_AT),
    ]
    before = await all_rows(it)

    assert not await record_arrived(it, results)

    assert await all_rows(it) == before
    await record(it, results)
    assert sorted(row["status"] for row in await it.ledger()) == ["pending", "sent"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda it, id: it.act(id, "acknowledge"), ("status", "acknowledged")),
        (lambda it, id: it.act(id, "resolve"), ("status", "resolved")),
        (lambda it, id: it.rows(REFRESH, id), ("waiting_on", "the refresh")),
    ],
    ids=["acknowledged", "resolved", "saved under the same sequence and time"],
)
async def test_the_fact_of_a_page_never_carries_a_response_that_was_saved_over(
    it: World, monkeypatch: pytest.MonkeyPatch, change: Change, said: tuple[str, str]
) -> None:
    """Readers keep the response of the highest sequence, and an outdated one would win."""
    claims = await claimed(it, 1, 2)
    id = claims[0].order.incident_id
    between(monkeypatch, lambda: change(it, id))

    assert not await record_arrived(it, arrived(claims))

    assert [row["status"] for row in await it.ledger()] == ["sending"] * 2
    assert not await it.told("PageSent"), "all or nothing"
    await record(it, arrived(claims))
    sent = {event["subject"]: event for _, event in await it.told("PageSent")}
    field, value = said
    assert sent[str(id)]["data"]["response"][field] == value
    about = [event for _, event in await it.told() if event["subject"] == str(id)]
    assert max(about, key=lambda event: int(event["sequence"])) == sent[str(id)]


@pytest.mark.parametrize("change", [CLAIM_AGAIN, CANCEL], ids=["claimed again", "cancelled"])
async def test_a_page_that_another_sender_took_over_meanwhile_is_not_recorded(
    it: World, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    claims = await claimed(it, 1)
    between(monkeypatch, lambda: it.rows(change, claims[0].order.incident_id))

    assert not await record_arrived(it, arrived(claims))

    await record(it, arrived(claims))
    assert not await it.told("PageSent")
    assert await record_arrived(it, arrived(claims)), "nothing is left to be recorded"


@pytest.mark.parametrize("table", ["incidents", "deliveries"])
async def test_it_waits_for_nobody_who_holds_a_row(
    it: World, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    """So it cannot be part of a deadlock, in whatever order its statement locks the rows."""
    claims = await claimed(it, 1, 2)
    async with it.database.connection() as other:
        lock = other.transaction()

        async def hold() -> None:
            await lock.start()
            await other.execute(f"SELECT FROM {table} FOR UPDATE")

        between(monkeypatch, hold)
        assert not await record_arrived(it, arrived(claims))
        await lock.rollback()
    assert [row["status"] for row in await it.ledger()] == ["sending"] * 2
    await record(it, arrived(claims))
    assert len(await it.told("PageSent")) == 2
