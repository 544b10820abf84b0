"""I4: the same signals and facts, in any order and any number of times, lead to the same state.

Order matters where a publisher keeps it: a resolved alert follows the firing one on the same
connection or in the same partition. The order between publishers is arbitrary. So signals of a key
that only fire are shuffled, those of a key that also resolves keep their order, all keys are mixed,
and each signal is sent up to ten times. Facts are shuffled without limits.

Compared is everything that matters to people: incidents with state, counts, priority and owner, and
who was paged. Numbers, receive times and incident ids may differ (an id derives from the signal
that came first).
"""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import orjson
from aiokafka import AIOKafkaProducer

from shared.events import escalation, intake, triage
from shared.kafka.topics import SIGNALS
from tests.support.evidence import Checker, checking
from tests.support.policies import policy_files
from tests.support.running import Receiver, Running, alert, eventually, running
from tests.support.stack import clone_database, drop_database, name_of

SEED = 20260303
KEYS = 12
TIMES = 10
BATCH = 20
FACTS = (intake.TOPIC, triage.TOPIC, escalation.TOPIC)
Signal = dict[str, Any]

STATE = """
SELECT i.fingerprint, i.status, i.signal_count, i.alerts_firing, i.severity, i.summary, i.service,
    i.labels::text, i.started_at, i.described_by,
    t.triage->>'priority' AS priority, t.triage->>'team' AS team,
    t.triage->'reasons' AS reasons, e.status AS response, e.state#>>'{response,step}' AS step,
    e.state#>>'{response,priority}' AS answered_as, e.state#>>'{response,summary}' AS answered_for,
    r.status AS reported, r.state->>'signal_count' AS counted, r.state->>'severity' AS worst,
    CASE WHEN e.status = 'triggered' THEN (
        SELECT array_agg(concat_ws(' ', user_id, method, step, round, d.status)
                         ORDER BY user_id, step, round)
        FROM escalation.deliveries d WHERE d.incident_id = i.incident_id
    ) END AS pages
FROM intake.incidents i LEFT JOIN triage.incidents t USING (incident_id)
    LEFT JOIN escalation.incidents e ON e.id = i.incident_id
    LEFT JOIN reporting.incidents r USING (incident_id)
ORDER BY i.fingerprint, i.started_at
"""
DECISIONS = """
SELECT decision, CASE WHEN signal_id LIKE 'ending%' THEN signal_id END AS signal_id, count(*)
FROM intake.signals GROUP BY 1, 2 ORDER BY 2, 1
"""
TIMELINE = "SELECT incident_id::text, producer, sequence FROM reporting.timeline ORDER BY 1, 2, 3"


def fired(name: str, key: str, dice: random.Random, **data: Any) -> Signal:
    """A signal with content and time that differ from all others."""
    data |= {
        "severity": dice.choice(["critical", "error", "warning", "info", "odd"]),
        "service": dice.choice(["checkout", "search", "unknown"]),
        "labels": {"said": name},
        "summary": f"{name} says so",
    }
    minute, second = divmod(dice.randrange(3600), 60)
    time = f"2026-03-03T10:{minute:02}:{second:02}.{dice.randrange(10**6):06}Z"
    return alert(name, key, **data) | {"time": time}


def signals(dice: random.Random) -> list[list[Signal]]:
    """Signals by key, in an order that their publisher may keep."""
    only_fire = [
        [fired(f"firing {key}.{n}", f"firing {key}", dice, alert=str(n % 3)) for n in range(10)]
        for key in range(KEYS)
    ]
    ending = []
    for number in range(KEYS):
        key, again = f"ending {number}", number % 3
        one = [fired(f"{key} fires {n}", key, dice, alert=str(n)) for n in range(3)]
        one += [
            fired(f"{key} ends {n}", key, dice, alert=str(n), status="resolved")
            for n in range(3 - again % 2)
        ]
        one += [fired(f"{key} again {n}", key, dice, alert="9") for n in range(again)]
        ending.append(one)
    return only_fire + ending


def mixed(by_key: Sequence[Sequence[Signal]], dice: random.Random) -> list[Signal]:
    """Another order, in which each signal comes one to ten times."""
    queues = [list(one) for one in by_key]
    for queue in queues[:KEYS]:
        dice.shuffle(queue)
    left = [number for number, queue in enumerate(queues) for _ in queue]
    dice.shuffle(left)
    order = [queues[number].pop(0) for number in left]
    placed = [(float(position), signal) for position, signal in enumerate(order)]
    placed += [
        (dice.uniform(position, len(order)), signal)
        for position, signal in enumerate(order)
        for _ in range(dice.randrange(TIMES))
    ]
    return [signal for _, signal in sorted(placed, key=lambda pair: pair[0])]


@dataclass
class Installation:
    """A new installation and its observable state."""

    tocsin: Running
    producer: AIOKafkaProducer
    checker: Checker
    connection: "asyncpg.Connection[asyncpg.Record]"
    prefix: str

    async def take(self, order: Sequence[Signal]) -> None:
        """Send half of the keys by HTTP and half by topic; returns once the system is idle."""
        web = [signal for signal in order if hash_of(signal) % 2]
        for start in range(0, len(web), BATCH):
            await self.tocsin.signals(*web[start : start + BATCH])
        for signal in order:
            if not hash_of(signal) % 2:
                key = signal["data"]["key"].encode()
                await self.producer.send(self.prefix + SIGNALS, orjson.dumps(signal), key)
        await self.settle()

    async def repeat_facts(self, dice: random.Random) -> None:
        """Publish all facts again, up to three times each, in any order."""
        evidence = await self.checker.evidence([])
        records = [
            (topic, r)
            for topic in FACTS
            for r in evidence.records[topic]
            for _ in range(dice.randint(1, 3))
        ]
        dice.shuffle(records)
        for topic, record in records:
            await self.producer.send(
                self.prefix + topic, record.value, record.key, headers=list(record.headers)
            )
        await self.settle()

    async def settle(self) -> None:
        await self.producer.flush()
        await eventually("the system is idle", self.checker.settled)

    async def seen(self, query: str) -> list[dict[str, Any]]:
        """The rows of a query."""
        return [dict(row) for row in await self.connection.fetch(query)]


def hash_of(signal: Signal) -> int:
    """The same number for all signals of a key."""
    return int(signal["data"]["key"].rpartition(" ")[2])


def differences(seen: Sequence[dict[str, Any]], expected: Sequence[dict[str, Any]]) -> list[str]:
    """Differences, field by field."""
    found = [f"{len(seen)} incidents, not {len(expected)}"] if len(seen) != len(expected) else []
    for one, other in zip(seen, expected, strict=False):
        found += [
            f"{one['summary']}: {name} {one[name]!r}, not {other[name]!r}"
            for name in one
            if one[name] != other[name]
        ]
    return found


@asynccontextmanager
async def fresh(
    kafka: str, postgres: str, template: str, prefix: str, folder: Path, receiver: Receiver
) -> AsyncIterator[Installation]:
    database = await clone_database(postgres, template)
    policy = policy_files(
        receiver.url, '{targets: ["user:anastasia"], wait: 1h}', rounds=1, update_interval="1s"
    )
    connection = await asyncpg.connect(database)
    try:
        async with (
            running(kafka, database, prefix, folder, policy) as tocsin,
            AIOKafkaProducer(bootstrap_servers=kafka) as producer,
            checking(kafka, database, prefix) as checker,
        ):
            yield Installation(tocsin, producer, checker, connection, prefix)
    finally:
        await connection.close()
        await drop_database(postgres, name_of(database))


async def test_any_order_and_number_of_times_leads_to_the_same_state(
    kafka: str,
    postgres: str,
    template: str,
    topic_prefix: str,
    tmp_path: Path,
    receiver: Receiver,
    long: bool,
) -> None:
    dice = random.Random(SEED)  # noqa: S311
    by_key = signals(dice)
    names = ["a", *(f"b{number}" for number in range(5 if long else 1))]
    for name in names:
        (tmp_path / name).mkdir()
    async with fresh(
        kafka, postgres, template, f"{topic_prefix}a.", tmp_path / "a", receiver
    ) as one:
        await one.take([signal for key in by_key for signal in key])
        state, decisions = await one.seen(STATE), await one.seen(DECISIONS)
    assert {row["reported"] for row in state} == {"triggered", "resolved"}
    assert len(state) > 2 * KEYS, "some keys opened a second incident"

    for name in names[1:]:
        installation = f"{topic_prefix}{name}.", tmp_path / name, receiver
        async with fresh(kafka, postgres, template, *installation) as other:
            await other.take(mixed(by_key, dice))
            assert not differences(await other.seen(STATE), state)
            assert await other.seen(DECISIONS) == decisions
            timeline = await other.seen(TIMELINE)
            await other.repeat_facts(dice)
            assert not differences(await other.seen(STATE), state), "repeated facts change nothing"
            assert await other.seen(TIMELINE) == timeline
