"""One relay leads; when it dies or is frozen another goes on, and the old one does no harm."""

import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import asyncpg
import pytest
from aiokafka.structs import ConsumerRecord

from shared.events.message import OutboxMessage
from shared.kafka.provisioning import apply_topics
from shared.kafka.security import Cluster
from shared.kafka.topics import Topic
from shared.postgres.database import Database
from shared.postgres.leadership import compete
from shared.postgres.outbox import insert_outbox
from shared.postgres.relay import Relay
from shared.runtime.clock import system_clock
from tests.support.reading import reading
from tests.support.running import eventually
from tests.support.stack import runtime_dsn

TOPIC = "tocsin.intake.v1"

# A relay in a process of its own, which stops itself when a batch has the message "old", at a given
# point of it. A blind one does not notice in time that it has lost its session: nothing but a fence
# stands between it and Kafka.
RELAY = """
import asyncio, logging, os, signal, sys
from shared.kafka import publisher
from shared.kafka.security import Cluster
from shared.postgres import leadership, relay
from shared.runtime.clock import system_clock

dsn, kafka, prefix, point, fenced = sys.argv[1:]
leadership._IDLE_TIMEOUT = "2s"

class Freezing(publisher.Publisher):
    async def _send(self, messages):
        freezes = any(message.headers.get("note") == "old" for message in messages)
        if freezes and "read" in point:
            os.kill(os.getpid(), signal.SIGSTOP)
        sent = await super()._send(messages)
        if freezes and "sent" in point:
            os.kill(os.getpid(), signal.SIGSTOP)
        return sent

class Relay(relay.Relay):
    async def _during(self, leadership, work):
        return await (work if "blind" in point else super()._during(leadership, work))

relay.Publisher = Freezing
logging.basicConfig(level=logging.INFO, stream=sys.stdout)
cluster = Cluster(kafka, prefix)
asyncio.run(Relay(dsn, cluster, "intake", system_clock, fenced=fenced == "True").run())
"""


@pytest.fixture
async def topic(kafka: str, topic_prefix: str) -> str:
    await apply_topics(kafka, topic_prefix, [Topic(TOPIC, partitions=1)])
    return topic_prefix + TOPIC


@asynccontextmanager
async def process(
    intake: Database, kafka: str, prefix: str, point: str = "", fenced: bool = False
) -> AsyncIterator[asyncio.subprocess.Process]:
    relay = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        RELAY,
        intake.dsn,
        kafka,
        prefix,
        point,
        str(fenced),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield relay
    finally:
        if relay.returncode is None:
            relay.kill()
        await relay.wait()


@asynccontextmanager
async def successor(
    intake: Database, kafka: str, prefix: str, fenced: bool = False
) -> AsyncIterator[None]:
    relay = Relay(intake.dsn, Cluster(kafka, prefix), "intake", system_clock, fenced=fenced)
    task = asyncio.create_task(relay.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def write(intake: Database, *values: bytes) -> None:
    async with intake.transaction() as connection:
        await insert_outbox(
            connection,
            [OutboxMessage(TOPIC, b"key", value, {"note": value.decode()}) for value in values],
            system_clock(),
        )


async def is_empty(intake: Database) -> bool:
    async with intake.connection() as connection:
        return not await connection.fetchval("SELECT count(*) FROM outbox")


async def has_stopped(relay: asyncio.subprocess.Process) -> bool:
    return await asyncio.to_thread(_state, relay.pid) == "T"


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def says(relay: asyncio.subprocess.Process, what: bytes) -> None:
    assert relay.stdout is not None
    async with asyncio.timeout(30):
        while what not in (line := await relay.stdout.readline()):
            assert line, "the relay has ended"


@pytest.mark.parametrize(
    ("point", "defeat"),
    [("read", b"has no database"), ("read, blind", b"fenced"), ("sent, blind", b"fenced")],
)
async def test_a_frozen_leader_with_a_fence_publishes_nothing_after_its_successor(
    intake: Database, kafka: str, topic: str, topic_prefix: str, point: str, defeat: bytes
) -> None:
    async with (
        process(intake, kafka, topic_prefix, point, fenced=True) as frozen,
        reading(kafka, topic) as reader,
    ):
        await write(intake, b"first")
        await reader.values(b"first")
        await write(intake, b"old")
        await eventually("the leader is frozen with its rows in hand", lambda: has_stopped(frozen))

        async with successor(intake, kafka, topic_prefix, fenced=True):
            await write(intake, b"new")
            assert await reader.values(b"new") == [b"first", b"old", b"new"]

            frozen.send_signal(signal.SIGCONT)
            await says(frozen, defeat)
            await write(intake, b"newer")
            assert await reader.values(b"newer") == [b"first", b"old", b"new", b"newer"]
            await eventually(
                "the successor has deleted what it published", lambda: is_empty(intake)
            )

        # It has learnt of its defeat and takes its turn again.
        await write(intake, b"newest")
        assert await reader.values(b"newest") == [b"first", b"old", b"new", b"newer", b"newest"]


@pytest.mark.parametrize("point", ["read", "read, blind", "sent, blind"])
async def test_what_a_frozen_leader_publishes_late_changes_no_reader(
    intake: Database, kafka: str, topic: str, topic_prefix: str, point: str
) -> None:
    """Without a fence it may repeat what its successor has published, and nothing else."""
    async with (
        process(intake, kafka, topic_prefix, point) as frozen,
        reading(kafka, topic) as reader,
    ):
        await write_fact(intake, 1, "first")
        await reader.until("first", lambda records: len(records) == 1)
        await write_fact(intake, 2, "old")
        await eventually("the leader is frozen with its rows in hand", lambda: has_stopped(frozen))

        async with successor(intake, kafka, topic_prefix):
            await write_fact(intake, 3, "new")
            await reader.until("new", lambda records: 3 in sequences(records))
            frozen.send_signal(signal.SIGCONT)
            await says(frozen, b"has no database")
            await write_fact(intake, 4, "newer")
            await reader.until("newer", lambda records: 4 in sequences(records))
            await eventually("the outbox is empty", lambda: is_empty(intake))

        # It has learnt of its defeat and takes its turn again.
        await write_fact(intake, 5, "newest")
        await reader.until("newest", lambda records: 5 in sequences(records))

    repeats = Counter(sequences(reader.records)) - Counter(range(1, 6))
    assert repeats in ({}, {2: 1})
    assert (point == "read, blind") <= bool(repeats), "without its session nothing holds it back"
    assert newest_by_rule(reader.records) == [1, 2, 3, 4, 5]


async def write_fact(intake: Database, sequence: int, note: str) -> None:
    """One of the facts of an incident, as far as the rule for readers needs it."""
    value = json.dumps({"sequence": sequence}).encode()
    async with intake.transaction() as connection:
        await insert_outbox(
            connection, [OutboxMessage(TOPIC, b"key", value, {"note": note})], system_clock()
        )


def sequences(records: Sequence[ConsumerRecord[bytes, bytes]]) -> list[int]:
    return [int(json.loads(record.value or b"")["sequence"]) for record in records]


def newest_by_rule(records: Sequence[ConsumerRecord[bytes, bytes]]) -> list[int]:
    """What a reader takes that follows docs/contracts: nothing that is not above what it knows."""
    taken: list[int] = []
    for sequence in sequences(records):
        if not taken or sequence > taken[-1]:
            taken.append(sequence)
    return taken


async def test_a_leader_that_is_killed_hands_over_in_the_middle_of_the_stream(
    intake: Database, kafka: str, topic: str, topic_prefix: str
) -> None:
    expected = [b"%d" % number for number in range(300)]
    async with process(intake, kafka, topic_prefix) as leader, reading(kafka, topic) as reader:
        await write(intake, expected[0])
        await reader.values(expected[0])
        async with successor(intake, kafka, topic_prefix):
            for value in expected[1:150]:
                await write(intake, value)
            leader.kill()
            for value in expected[150:]:
                await write(intake, value)
            values = await reader.values(expected[-1])

    assert list(dict.fromkeys(values)) == expected


async def test_a_crash_between_publishing_and_deleting_repeats_in_order(
    intake: Database, database: str, kafka: str, topic: str, topic_prefix: str
) -> None:
    expected = [b"1", b"2", b"3"]
    async with reading(kafka, topic) as reader:
        await write(intake, *expected)
        async with (
            connected(database) as holder,
            holder.transaction(),
            connected(database) as admin,
        ):
            await holder.execute(
                "SELECT FROM intake.outbox FOR UPDATE"
            )  # the relay can read, and cannot delete
            async with process(intake, kafka, topic_prefix) as leader:
                await reader.values(b"3")
                leader.kill()
                await leader.wait()
            await eventually("the dead leader's session is gone", lambda: _ended(admin))

        async with successor(intake, kafka, topic_prefix):
            await write(intake, b"4")
            assert await reader.values(b"4") == [*expected, *expected, b"4"]


async def _ended(admin: "asyncpg.Connection[asyncpg.Record]") -> bool:
    ended = await admin.fetch(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE application_name = 'intake relay' AND datname = current_database()"
    )
    return not ended


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def test_another_services_role_cannot_take_or_keep_the_leadership(
    intake: Database, database: str
) -> None:
    """Any role may hold any advisory lock, and see in pg_locks which ones are held."""
    async with connected(runtime_dsn(database, "reporting")) as other:
        for _ in range(2):
            async with lead(intake) as leader:
                number = await other.fetchval(
                    "SELECT (classid::bigint << 32) + objid::bigint FROM pg_locks"
                    " WHERE locktype = 'advisory' AND granted AND pid = $1",
                    leader,
                )
                assert not await takes(other, number)
            # Now it is free to take, and so is the lock that leaders held before there was a table.
            await eventually("the other has it", partial(takes, other, number))
            await other.execute("SELECT pg_advisory_lock(hashtext('intake relay'))")
        async with lead(intake):
            pass
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await other.execute("UPDATE intake.leaders SET lock = 1")


@asynccontextmanager
async def lead(intake: Database) -> AsyncIterator[int]:
    """Lead within the limit of patience; yields the pid of the session."""
    async with compete(intake.dsn, "intake relay", "intake.outbox") as leadership:
        yield await leadership.connection.fetchval("SELECT pg_backend_pid()")


async def takes(other: "asyncpg.Connection[asyncpg.Record]", number: int) -> bool:
    taken: bool = await other.fetchval("SELECT pg_try_advisory_lock($1)", number)
    return taken


async def test_of_many_that_compete_one_leads_at_a_time(intake: Database) -> None:
    leading, most, led = 0, 0, 0

    async def candidate() -> None:
        nonlocal leading, most, led
        async with lead(intake):
            leading, led = leading + 1, led + 1
            most = max(most, leading)
            await asyncio.sleep(0.01)
            leading -= 1

    async with asyncio.timeout(60):
        await asyncio.gather(*(candidate() for _ in range(6)))
    assert (most, led) == (1, 6)
