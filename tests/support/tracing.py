"""Incidents whose traces are checked: their policy, their publishers and their pages."""

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
    """Four services that page Anastasia and then Benedict at `pages`. Steps wait an hour;
    `let_time_pass` makes them due.
    """
    steps = '{targets: ["user:anastasia"], wait: 1h}', '{targets: ["user:benedict"], wait: 1h}'
    policy = policy_files(pages.url, *steps, update_interval="0s")
    # Soon, so that a process that is killed has exported what the test saw it do.
    fast = {"OTEL_BSP_SCHEDULE_DELAY": "50"}
    async with running(kafka, database, prefix, folder, policy, **fast | environment) as stack:
        yield stack


async def let_time_pass(database: str) -> None:
    """Make all timers of escalation due now, or when it runs again."""
    connection = await asyncpg.connect(database)
    try:
        await connection.execute("UPDATE escalation.timers SET due_at = now()")
        await connection.execute('NOTIFY "escalation.timers"')
    finally:
        await connection.close()


async def published(database: str, service: str) -> bool:
    """Whether nothing waits in a service's outbox."""
    connection = await asyncpg.connect(database)
    try:
        return not await connection.fetchval(f"SELECT EXISTS (SELECT FROM {service}.outbox)")
    finally:
        await connection.close()


class Publisher:
    """Another system, with traces of its own, on the signals topic."""

    def __init__(self, producer: AIOKafkaProducer, prefix: str) -> None:
        self._producer = producer
        self._prefix = prefix

    async def structured(self, event: dict[str, Any], topic: str = "tocsin.signals.v1") -> None:
        """Publish in structured mode: a trace, if any, is a CloudEvents extension."""
        await self._producer.send_and_wait(self._prefix + topic, orjson.dumps(event))

    async def binary(self, *events: dict[str, Any], traces: list[TraceContext]) -> None:
        """Publish in binary mode with the trace in Kafka's `traceparent` header; all in one
        partition, without waiting in between.
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
    """An alert; alerts with the same `key` belong to one incident."""
    return alert(signal_id, key, summary=SUMMARY, **data)


def span_id(position: TraceContext) -> str:
    """16 hexadecimal digits."""
    return position.traceparent.split("-")[2]


async def paged(pages: Receiver, user: str, matches: Callable[[Received], bool]) -> Received:
    """Wait for the first matching page to a user."""

    async def find() -> Received | None:
        return next((p for p in pages.received if f".{user}." in p.webhook_id and matches(p)), None)

    found: Received = await eventually(f"{user} is paged", find)
    return found


def about(incident: str) -> Callable[[Received], bool]:
    """Matches pages about an incident."""
    return lambda page: page.webhook_id.startswith(incident)


def in_trace(trace_id: str) -> Callable[[Received], bool]:
    """Matches pages whose attempt is a span of this trace."""
    return lambda page: page.headers["traceparent"][3:35] == trace_id


async def resolved(tocsin: Running, incident: str) -> dict[str, Any]:
    """Wait until reporting shows the incident as resolved; returns it."""

    async def check() -> dict[str, Any] | None:
        found = await tocsin.incident(incident)
        return found if found and found["status"] == "resolved" else None

    found: dict[str, Any] = await eventually(f"{incident} is resolved", check)
    return found
