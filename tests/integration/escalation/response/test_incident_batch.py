"""How many statements a transaction takes: at 100 alerts a second, nearly every one is a batch."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest

from services.escalation.delivery.sender import Sender
from shared.events.triage import IncidentSubsided, TriageConfirmed
from tests.support.escalating import Receiver, World, world
from tests.support.logged import LoggedDatabase
from tests.support.running import eventually


@pytest.fixture
async def it(database: str, webhooks: Receiver) -> AsyncIterator[World]:
    async with world(database, webhooks.url) as made:
        yield made


@asynccontextmanager
async def counting(it: World) -> AsyncIterator[LoggedDatabase]:
    database = LoggedDatabase(it.database.dsn)
    try:
        yield database
    finally:
        await database.close()


READ = "WITH locked AS ( SELECT id, sequence, st"
WRITE = "WITH part_0 AS ("


def shape(statements: list[str]) -> list[str]:
    """`read` and `write` for the two that every batch has."""
    shapes = []
    for text in statements:
        statement = " ".join(text.split())[:40].rstrip(";")
        write = "write" if statement.startswith(WRITE) else statement.split()[0]
        shapes.append("read" if statement == READ else write)
    return shapes


async def test_a_batch_is_read_by_one_statement_and_written_by_one(it: World) -> None:
    async with counting(it) as database:
        it.database = database
        (first, *_) = await it.triaged(1, 2, 3)
        assert shape(database.taken()) == ["SELECT", "write"]
        await it.triaged(4)
        assert shape(database.taken()) == ["write"]
        await it.tell((first, it.fact(first, TriageConfirmed, seen=2)))
        pages = "SELECT"
        assert shape(database.taken()) == ["SELECT", "BEGIN", "read", pages, "write", "COMMIT"]
        it.clock.jump(seconds=60)
        await it.fire_due()
        assert shape(database.taken()) == ["BEGIN", "DELETE", "read", "write", "COMMIT"]
        await it.act(first, "acknowledge")
        assert shape(database.taken()) == ["BEGIN", "read", pages, "write", "COMMIT"]
        await it.tell((first, it.fact(first, IncidentSubsided, seen=3)))
        assert shape(database.taken()) == ["SELECT", "BEGIN", "read", "write", "COMMIT"]


async def test_a_page_takes_a_claim_and_two_statements_that_record_that_it_arrived(
    it: World,
) -> None:
    async with counting(it) as database:
        attempts, wake = it.attempts(5), asyncio.Event()
        sender = Sender(database, attempts, lambda: it.teams, it.clock, wake)
        sending = asyncio.create_task(sender.run())
        for number in (1, 2):
            await it.triaged(number)
            wake.set()
            await eventually("the page is sent", partial(_sent, it, number))
        sending.cancel()
        with suppress(asyncio.CancelledError):
            await sending
        taken = " ".join(shape(database.taken()))
    result = "SELECT write WITH"  # WITH claims
    assert taken.count(result) == 2
    assert set(taken.replace(result, "").split()) == {"WITH"}, "claims, and a sweep now and then"


async def _sent(it: World, number: int) -> bool:
    return [row["status"] for row in await it.ledger()] == ["sent"] * number
