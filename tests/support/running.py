"""The four services as processes on a real Kafka and PostgreSQL, and what surrounds them."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from deploy.local.ports import choose
from services.intake.integrations.store import create_key
from shared.kafka.provisioning import apply_topics
from shared.kafka.topics import TOPICS
from shared.postgres.database import Database
from shared.runtime.clock import system_clock
from tests.support.http import listening
from tests.support.settings import service_settings, write_policy
from tests.support.stack import PATIENCE_SECONDS, runtime_dsn
from tests.support.version import THIS, Version, inherited

SERVICES = ("intake", "triage", "escalation", "reporting")
SECRET = "whsec_" + "c2VjcmV0IG9mIHRoZSB0ZXN0cywgMzIgYnl0ZXMgbG9uZw=="
TOKEN = "the-token-of-the-tests"
_SECRETS = {
    "TOCSIN_SECRET_KEY": "a key of thirty-two bytes or more for tests",
    "TOCSIN_API_TOKEN": TOKEN,
    "TOCSIN_WEBHOOK_SECRET": SECRET,
}


async def eventually(
    what: str, check: Callable[[], Awaitable[Any]], seconds: float = PATIENCE_SECONDS
) -> Any:
    """The first truthy result of `check`; fails with `what` when there is none in time."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        found = await check()
        if found:
            return found
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"after {seconds} s, still not: {what} (last seen: {found!r})")
        await asyncio.sleep(0.02)


@dataclass(frozen=True)
class Truth:
    """Yes or no, and what was seen: so that a failure says why."""

    yes: bool
    seen: str

    def __bool__(self) -> bool:
        return self.yes


def free_port() -> int:
    """A port that nobody listens on, and that no outgoing connection takes meanwhile."""
    return choose(1)[0]


@dataclass
class Received:
    """A request that reached the receiver of pages."""

    headers: Mapping[str, str]
    body: dict[str, Any]

    @property
    def webhook_id(self) -> str:
        """The attempt key."""
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """The other end of page webhooks. `answer` decides the HTTP status of each request."""

    received: list[Received] = field(default_factory=list)
    answer: Callable[[Received], int] = lambda _: 200
    url: str = ""

    async def _take(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        received = Received(headers, await request.json())
        self.received.append(received)
        return web.Response(status=self.answer(received))

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Receiver"]:
        """Listens on a port of its own inside the block."""
        app = web.Application()
        app.router.add_post("/{tail:.*}", self._take)
        async with listening(app) as address:
            self.url = f"{address}/pages"
            yield self


@dataclass
class Running:
    """A whole Tocsin: where its services listen, and the means to stop, kill and restart each."""

    environment: dict[str, str]
    ports: dict[str, int]
    key: str
    logs: Path
    database: str
    http: aiohttp.ClientSession
    version: Version = THIS
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    probe_ports: dict[str, int] = field(default_factory=dict)

    def url(self, service: str, path: str = "") -> str:
        """Address of a service."""
        return f"http://127.0.0.1:{self.ports[service]}{path}"

    def probe(self, service: str, path: str) -> str:
        """Address of a service's probes and metrics."""
        return f"http://127.0.0.1:{self.probe_ports[service]}{path}"

    async def start(self, service: str, replica: int = 0) -> str:
        """Start a process; `ready` waits for what is returned: its name here."""
        instance = f"{service}-{replica}"
        name = instance if replica else service
        port, probes = choose(2)
        own = {
            "TOCSIN_HTTP_PORT": str(self.ports.setdefault(name, port)),
            "TOCSIN_PROBES_PORT": str(self.probe_ports.setdefault(name, probes)),
            "TOCSIN_INSTANCE": instance,
        }
        with (self.logs / f"{name}.log").open("ab") as log:
            self.processes[name] = await asyncio.create_subprocess_exec(
                self.version.tocsin,
                *(service, "serve"),
                cwd=self.version.folder,
                env=self.environment | own,
                stdout=log,
                stderr=log,
            )
        return name

    async def start_all(self) -> None:
        """Start one process of each service and wait until all are ready."""
        for service in SERVICES:
            await self.start(service)
        await self.ready()

    async def ready(self, *services: str) -> None:
        """Wait until services say that they are ready."""
        for service in services or SERVICES:
            await eventually(f"{service} ready", partial(self._is_ready, service))

    async def _is_ready(self, service: str) -> Truth:
        log = self.logs / f"{service}.log"
        assert self.processes[service].returncode is None, log.read_text()[-4000:]
        found = await self._asked(self.probe(service, "/readyz"))
        # Commits from before the probes had a port of their own.
        return (
            found
            or (self.version != THIS and await self._asked(self.url(service, "/readyz")))
            or found
        )

    async def _asked(self, url: str) -> Truth:
        try:
            async with self.http.get(url) as answer:
                return Truth(answer.status == 200, await answer.text())
        except aiohttp.ClientError as error:
            return Truth(False, repr(error))

    async def kill(self, service: str, sign: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal and wait for the end; returns the exit status."""
        process = self.processes[service]
        process.send_signal(sign)
        return await process.wait()

    async def stop(self) -> None:
        """End all that runs."""
        for process in self.processes.values():
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                async with asyncio.timeout(20):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()

    async def signals(
        self, *events: dict[str, Any], traceparent: str | None = None
    ) -> dict[str, Any]:
        """Post CloudEvents in one batch; returns the answer, which must be a 2xx."""
        url = self.url("intake", "/v1/signals")
        headers = {
            "Authorization": f"Bearer {self.key}",
            "Content-Type": "application/cloudevents-batch+json",
        }
        if traceparent:
            headers["traceparent"] = traceparent
        async with self.http.post(url, json=list(events), headers=headers) as answer:
            body: dict[str, Any] = await answer.json(content_type=None)
            assert answer.status == 202, body
            return body

    async def act(self, action: str, incident: str, by: str = "ana") -> dict[str, Any]:
        """Acknowledge or resolve by the API."""
        async with self.http.post(
            self.url("escalation", f"/v1/incidents/{incident}/{action}"),
            json={"by": by},
            headers={"Authorization": f"Bearer {TOKEN}"},
        ) as answer:
            body: dict[str, Any] = await answer.json(content_type=None)
            assert answer.status == 200, body
            return body

    async def incident(self, incident_id: str) -> dict[str, Any] | None:
        """The incident as reporting shows it, or None as long as reporting does not know it."""
        async with self.http.get(self.url("reporting", f"/v1/incidents/{incident_id}")) as answer:
            return await answer.json() if answer.status == 200 else None


@asynccontextmanager
async def running(
    kafka: str,
    database: str,
    prefix: str,
    folder: Path,
    policy: Mapping[str, str],
    version: Version = THIS,
    /,
    **environment: str,
) -> AsyncIterator[Running]:
    """All four services, ready, with these policy files (name to text) and extra environment."""
    await apply_topics(kafka, prefix, TOPICS)
    async with prepared(kafka, database, prefix, folder, policy, version, **environment) as stack:
        await stack.start_all()
        yield stack


@asynccontextmanager
async def prepared(
    kafka: str,
    database: str,
    prefix: str,
    folder: Path,
    policy: Mapping[str, str],
    version: Version = THIS,
    /,
    **environment: str,
) -> AsyncIterator[Running]:
    """The same with no process started yet; it needs neither Kafka nor topics."""
    write_policy(folder, policy)
    ports = dict(zip(SERVICES, choose(len(SERVICES)), strict=True))
    settings = service_settings(kafka, database, prefix, folder, ports) | environment
    key = await _make_key(database)
    async with idle(settings, ports, key, folder, database, version) as stack:
        yield stack


@asynccontextmanager
async def idle(
    settings: Mapping[str, str],
    ports: dict[str, int],
    key: str,
    folder: Path,
    database: str,
    version: Version = THIS,
) -> AsyncIterator[Running]:
    """A Tocsin with no process started; those that the block starts end with it."""
    # A server closes a connection that is idle for 5 s, perhaps just as a request sets out on it.
    connector = aiohttp.TCPConnector(keepalive_timeout=2)
    async with aiohttp.ClientSession(connector=connector) as http:
        environment = {**inherited(), **_SECRETS, **settings}
        stack = Running(environment, ports, key, folder, database, http, version)
        try:
            yield stack
        finally:
            await stack.stop()


async def _make_key(database: str) -> str:
    intake = Database(runtime_dsn(database, "intake"))
    try:
        async with intake.transaction() as connection:
            return await create_key(connection, "tests", None, system_clock())
    finally:
        await intake.close()


def alert(signal_id: str, key: str | None = None, **data: Any) -> dict[str, Any]:
    """An alert as a CloudEvent in structured mode."""
    fields = {
        "summary": "disk full",
        "service": "checkout",
        "severity": "critical",
        "key": key or signal_id,
    }
    return {
        "specversion": "1.0",
        "id": signal_id,
        "source": "/probe",
        "type": "tocsin.signals.Alert",
        "data": {**fields, **data},
    }
