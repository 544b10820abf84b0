"""Escalation inside a test: its parts on a database of their own, a clock that jumps, and people
who can be paged.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import ip_network
from typing import Any
from uuid import UUID

import orjson
from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from services.escalation.delivery.attempts import Attempts
from services.escalation.delivery.channel_registry import ChannelRegistry
from services.escalation.delivery.channels.email import EmailTransport
from services.escalation.delivery.channels.webhook import WebhookTransport
from services.escalation.delivery.sender import Sender
from services.escalation.delivery.transport import Transport
from services.escalation.handlers import Handlers
from services.escalation.links.domain import Links
from services.escalation.policies.policy import Teams
from services.escalation.response.domain.orders import Answer, Order
from shared.events.cloudevents import CloudEvent, to_structured
from shared.events.facts import Fact, event_message, new_event
from shared.events.ids import uuid7
from shared.events.intake import ReportedIncident, Severity
from shared.events.trace_context import TraceContext, new_trace
from shared.events.triage import IncidentSubsided, IncidentTriaged, Priority, TriagedIncident
from shared.http.network import Network
from shared.kafka.record import Record
from shared.policy.files import PolicyFile
from shared.postgres.connection import Connection
from shared.postgres.database import Database
from shared.postgres.errors import Conflict
from shared.postgres.timers import claim_timers
from shared.postgres.wake import Wake
from shared.postgres.writes import write_together
from shared.telemetry import measured_on_success
from shared.telemetry.state import CURRENT
from tests.support.http import listening
from tests.support.running import SECRET, eventually
from tests.support.stack import runtime_dsn
from tests.support.teams import teams_of

KEY = "a key of thirty-two bytes or more for tests"
LOOPBACK = (ip_network("127.0.0.0/8"),)

TEAMS = """
default_policy: payments
users:
  ana: {{name: Ana, email: ana@example.com, webhook: "{url}/ana"}}
  ben: {{name: Ben, email: ben@example.com, webhook: "{url}/ben"}}
  cleo: {{name: Cleo, email: cleo@example.com}}
teams:
  payments: {{policy: payments}}
  both: {{policy: both}}
policies:
  payments:
    rounds: 2
    steps:
      - {{targets: ["user:ana"], wait: 60s}}
      - {{targets: ["user:ben"], wait: 60s}}
  both:
    steps:
      - {{targets: ["user:ana", "user:cleo"], wait: 7d}}
"""


class JumpingClock:
    """Runs like the machine's clock, and jumps ahead when told to."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def jump(self, **span: float) -> None:
        """Move ahead."""
        self._ahead += timedelta(**span)


@dataclass
class Hit:
    """A request that reached the receiver."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def key(self) -> str:
        """The webhook's id."""
        return self.headers["webhook-id"]

    @property
    def data(self) -> dict[str, Any]:
        """What the page says."""
        data: dict[str, Any] = orjson.loads(self.body)["data"]
        return data


async def _accept(_: Hit) -> web.Response:
    return web.Response()


@dataclass
class Receiver:
    """The other end of webhooks; `answer` may take its time."""

    hits: list[Hit] = field(default_factory=list)
    answer: Callable[[Hit], Awaitable[web.Response]] = _accept
    url: str = ""

    async def _take(self, request: web.Request) -> web.Response:
        hit = Hit(
            request.path, {k.lower(): v for k, v in request.headers.items()}, await request.read()
        )
        self.hits.append(hit)
        return await self.answer(hit)

    def status(self, status: int, **headers: str) -> None:
        """Answer everything with this from now on."""

        async def answer(_: Hit) -> web.Response:
            return web.Response(status=status, headers=headers)

        self.answer = answer


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver on loopback."""
    hits = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", hits._take)
    async with listening(app) as hits.url:
        yield hits


class Mailbox:
    """An SMTP server's handler; `answer` is what it says to each mail."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.answer = "250 OK"

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:
        """Take a mail."""
        assert isinstance(envelope.content, bytes)
        if self.answer.startswith("250"):
            self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return self.answer


@asynccontextmanager
async def mail_server() -> AsyncIterator[tuple[Mailbox, str]]:
    """A real SMTP server on loopback and its address."""
    box = Mailbox()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(box), "127.0.0.1", 0)
    async with server:
        yield box, f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@contextmanager
def recorded_spans() -> Iterator[InMemorySpanExporter]:
    """What would go to the OTLP endpoint, kept in memory."""
    exporter, before = InMemorySpanExporter(), CURRENT.tracer_provider
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    CURRENT.tracer_provider = provider
    try:
        yield exporter
    finally:
        CURRENT.tracer_provider = before
        provider.shutdown()


@dataclass
class World:
    """Escalation without its Kafka loop: events go straight to the handlers, in transactions like
    the plumbing's.
    """

    database: Database
    clock: JumpingClock
    teams: PolicyFile[Teams]
    links: Links
    transports: dict[str, Transport]
    wake: Wake
    channels: ChannelRegistry = field(default_factory=ChannelRegistry.load)
    _offset: int = 0
    _sequences: dict[UUID, int] = field(default_factory=dict)
    _wakes: list[asyncio.Event] = field(default_factory=list)
    _handlers: dict[Database, Handlers] = field(default_factory=dict)

    @property
    def handlers(self) -> Handlers:
        """What reacts to topics, timers and people."""
        if self.database not in self._handlers:
            made = Handlers(self.database, lambda: self.teams, self.clock)
            self._handlers[self.database] = made
        return self._handlers[self.database]

    async def triaged(
        self, *numbers: int, team: str = "payments", trace: TraceContext | None = None
    ) -> list[UUID]:
        """Incidents with these numbers arrive in one batch."""
        ids = [uuid7() for _ in numbers]
        facts = [
            self.fact(id, IncidentTriaged, number, team=team)
            for id, number in zip(ids, numbers, strict=True)
        ]
        await self.tell(*zip(ids, facts, strict=True), trace=trace)
        return ids

    def fact(
        self, id: UUID, kind: type[Any], number: int = 1042, seen: int = 1, **changes: Any
    ) -> Fact:
        """A fact of triage about an incident; `seen` is intake's sequence."""
        cleared = kind is IncidentSubsided
        now = self.clock()
        incident = ReportedIncident(
            incident_id=id,
            number=number,
            status="cleared" if cleared else "open",
            fingerprint="f",
            source="/probe",
            summary="disk full",
            severity=Severity.CRITICAL,
            service="checkout",
            signal_count=1,
            alerts_firing=0 if cleared else 1,
            started_at=now,
            opened_at=now,
            last_signal_at=now,
        )
        triage = TriagedIncident(
            incident=incident,
            intake_sequence=seen,
            impact="high",
            urgency="high",
            priority=Priority.P1,
            team="payments",
            service_known=True,
            runbook="https://example.com/runbook",
            reasons=[],
            policy_version="v",
        ).model_copy(update=changes)
        fact: Fact = kind(triage=triage)
        return fact

    def record(self, id: UUID, fact: Fact, trace: TraceContext | None = None) -> Record:
        """The next record of triage's topic about an incident."""
        self._sequences[id] = self._sequences.get(id, 0) + 1
        event = new_event(id, self._sequences[id], self.clock(), fact, trace or new_trace())
        message = event_message(event)
        headers = tuple((name, value.encode()) for name, value in message.headers.items())
        return self._record(message.topic, message.key, message.value, headers)

    async def tell(self, *facts: tuple[UUID, Fact], trace: TraceContext | None = None) -> None:
        """Triage's facts arrive in one batch."""
        records = [self.record(id, fact, trace) for id, fact in facts]
        try:
            with measured_on_success():
                async with self.database.connection() as connection:
                    writes = await self.handlers.start_responses(connection, records)
                    await write_together(connection, writes)
        except Conflict:
            await self._handle(self.handlers.on_triage, records)

    async def command(self, *envelopes: CloudEvent) -> None:
        """Commands arrive in one batch."""
        records = [
            self._record("tocsin.commands.v1", b"", orjson.dumps(to_structured(it)), ())
            for it in envelopes
        ]
        await self._handle(self.handlers.on_command, records)

    async def _handle(
        self,
        handler: Callable[[Connection, Sequence[Record]], Awaitable[None]],
        records: Sequence[Record],
    ) -> None:
        async with self.database.transaction() as connection:
            await handler(connection, records)

    def _record(
        self, topic: str, key: bytes, value: bytes | None, headers: tuple[tuple[str, bytes], ...]
    ) -> Record:
        self._offset += 1
        return Record(topic, 0, self._offset, self.clock(), key, value, headers)

    async def fire_due(self) -> int:
        """What the ticker does once; how many timers were due."""
        async with self.database.transaction() as connection:
            timers = await claim_timers(connection, self.clock(), 100)
            await self.handlers.fire(connection, timers)
            return len(timers)

    async def act(
        self,
        reference: UUID | int,
        action: Any,
        by: str = "ana",
        caller: TraceContext | None = None,
    ) -> Answer:
        """A person acts by the API."""
        order = Order(action, by, "api", caller=caller)
        answer = await self.handlers.respond(reference, order)
        assert answer is not None
        return answer

    async def jump(self, **span: float) -> None:
        """Time passes, and whoever sleeps looks again."""
        self.clock.jump(**span)
        for event in self._wakes:
            event.set()

    async def rows(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        """Rows of the service's own schema."""
        async with self.database.connection() as connection:
            return [dict(row) for row in await connection.fetch(query, *arguments)]

    async def ledger(self) -> list[dict[str, Any]]:
        """All pages, oldest first."""
        return await self.rows("SELECT * FROM deliveries ORDER BY created_at, attempt_key")

    async def page(self, status: str, **columns: Any) -> dict[str, Any]:
        """The first page that comes to have this status (and columns), waiting for it."""

        async def find() -> dict[str, Any] | None:
            rows = [row for row in await self.ledger() if row["status"] == status]
            return next((row for row in rows if all(row[k] == v for k, v in columns.items())), None)

        found: dict[str, Any] = await eventually(f"a page that is {status} {columns}", find)
        return found

    async def told(self, name: str = "") -> list[tuple[str, dict[str, Any]]]:
        """The events in the outbox as (name, envelope), all or those of one name."""
        rows = await self.rows("SELECT value FROM outbox ORDER BY id")
        events = [orjson.loads(row["value"]) for row in rows]
        named = [(event["type"].rpartition(".")[2], event) for event in events]
        return [pair for pair in named if name in ("", pair[0])]

    def sender(self, timeout: float = 5) -> Sender:
        """A sender that is woken by the database and by `jump`."""
        wake = self.wake.subscribe("deliveries")
        self._wakes.append(wake)
        return Sender(self.database, self.attempts(timeout), lambda: self.teams, self.clock, wake)

    def attempts(self, timeout: float) -> Attempts:
        """What a sender tries with."""
        span = timedelta(seconds=timeout)
        return Attempts(
            self.channels,
            self.transports,
            lambda: self.teams,
            self.links,
            "http://console",
            self.clock,
            span,
        )


@asynccontextmanager
async def sending(
    world: World, senders: int = 1, timeout: float = 5
) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Senders that run inside the block; the tasks may be killed earlier."""
    parts = [world.sender(timeout) for _ in range(senders)]
    tasks = [
        asyncio.create_task(world.wake.run()),
        *(asyncio.create_task(part.run()) for part in parts),
    ]
    try:
        yield tasks[1:]
        for task in tasks:
            assert not task.done() or task.cancelled(), task
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


@asynccontextmanager
async def world(
    admin: str,
    url: str,
    smtp: str | None = None,
    *,
    timeout: float = 5,
    teams: str = TEAMS,
    allowed: Sequence[Network] = LOOPBACK,
    secrets: str = SECRET,
) -> AsyncIterator[World]:
    """Escalation, with `url` for everybody's webhook."""
    clock = JumpingClock()
    dsn = runtime_dsn(admin, "escalation")
    database = Database(dsn)
    transports: dict[str, Transport] = {
        "webhook": WebhookTransport(secrets, allowed, timeout, clock)
    }
    if smtp:
        transports["email"] = EmailTransport(smtp, "tocsin@example.com", timeout)
    policy = teams_of(teams.format(url=url))
    wake = Wake(dsn, "escalation")
    try:
        yield World(database, clock, policy, Links([KEY], "http://links"), transports, wake)
    finally:
        for transport in transports.values():
            await transport.close()
        await database.close()
