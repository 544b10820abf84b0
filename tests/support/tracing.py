"""Incidents whose traces are followed: the policy they page by, those who publish them, and what
came of them.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import orjson
from aiokafka import AIOKafkaProducer

from shared.events.trace_context import TraceContext
from tests.support.policies import policy_files
from tests.support.running import Received, Receiver, Running, alert, eventually, running

SUMMARY = "the card of the customer is refused"

WAY = {
    ("tocsin-intake:report incident", "tocsin-triage:triage incident"),
    ("tocsin-triage:triage incident", "tocsin-escalation:escalate"),
    ("tocsin-escalation:escalate", "tocsin-escalation:page webhook"),
    ("tocsin-escalation:escalate", "tocsin-escalation:escalate"),
    ("tocsin-escalation:escalate", "tocsin-escalation:acknowledge"),
}
"""From the report to the acknowledgement, the same for every incident that two steps paged for."""

CLEARED = {
    ("tocsin-intake:report incident", "tocsin-intake:clear incident"),
    ("tocsin-intake:clear incident", "tocsin-triage:triage incident"),
    ("tocsin-triage:triage incident", "tocsin-escalation:resolve"),
}
"""It ended at its source."""


@asynccontextmanager
async def tocsin(
    kafka: str, database: str, prefix: str, folder: Path, pages: Receiver, **environment: str
) -> AsyncIterator[Running]:
    """Four services that page Anastasia, then Benedict, at `pages`; the time between them is for a
    test to let pass.
    """
    steps = '{targets: ["user:anastasia"], wait: 1h}', '{targets: ["user:benedict"], wait: 1h}'
    policy = policy_files(pages.url, *steps, update_interval="0s")
    # Soon, so that a process that is killed has exported what the test saw it do.
    fast = {"OTEL_BSP_SCHEDULE_DELAY": "50"}
    async with running(kafka, database, prefix, folder, policy, **fast | environment) as stack:
        yield stack


async def let_time_pass(database: str) -> None:
    """All that waits for its time is due now, or when escalation runs again."""
    connection = await asyncpg.connect(database)
    try:
        await connection.execute("UPDATE escalation.timers SET due_at = now()")
        await connection.execute('NOTIFY "escalation.timers"')
    finally:
        await connection.close()


class Publisher:
    """Another system, with traces of its own, on the signals topic."""

    def __init__(self, producer: AIOKafkaProducer, prefix: str) -> None:
        self._producer = producer
        self._prefix = prefix

    async def structured(self, event: dict[str, Any], topic: str = "tocsin.signals.v1") -> None:
        """All of the event in the value; a trace, if any, as CloudEvents extension."""
        await self._producer.send_and_wait(self._prefix + topic, orjson.dumps(event))

    async def binary(self, *events: dict[str, Any], traces: list[TraceContext]) -> None:
        """Attributes in headers, the trace in Kafka's `traceparent`; all in one partition, as fast
        as it goes.
        """
        sent = []
        for event, trace in zip(events, traces, strict=True):
            headers = [
                (f"ce_{name}", value.encode()) for name, value in event.items() if name != "data"
            ]
            headers += [
                ("content-type", b"application/json"),
                ("traceparent", trace.traceparent.encode()),
            ]
            value = orjson.dumps(event["data"])
            sent.append(
                await self._producer.send(
                    self._prefix + "tocsin.signals.v1", value, headers=headers, partition=0
                )
            )
        await asyncio.gather(*sent)


def fault(signal_id: str, key: str, **data: Any) -> dict[str, Any]:
    """An alert; `key` says which incident it belongs to."""
    return alert(signal_id, key, summary=SUMMARY, **data)


def span_id(position: TraceContext) -> str:
    """16 hexadecimal digits."""
    return position.traceparent.split("-")[2]


async def paged(pages: Receiver, user: str, matches: Callable[[Received], bool]) -> Received:
    """The first such page to a user, waiting for it."""

    async def find() -> Received | None:
        return next((p for p in pages.received if f".{user}." in p.webhook_id and matches(p)), None)

    found: Received = await eventually(f"{user} is paged", find)
    return found


def about(incident: str) -> Callable[[Received], bool]:
    """Pages for an incident."""
    return lambda page: page.webhook_id.startswith(incident)


def in_trace(trace_id: str) -> Callable[[Received], bool]:
    """Pages whose attempt was a span of this trace."""
    return lambda page: page.headers["traceparent"][3:35] == trace_id


async def resolved(tocsin: Running, incident: str) -> dict[str, Any]:
    """The incident as reporting tells it, once it is resolved there."""

    async def check() -> dict[str, Any] | None:
        found = await tocsin.incident(incident)
        return found if found and found["status"] == "resolved" else None

    found: dict[str, Any] = await eventually(f"{incident} is resolved", check)
    return found
