"""A workload through the four services: separate processes with default settings, fresh database and topics."""

import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg

from shared.topics import SIGNALS
from tests.bench.cost import Cost
from tests.bench.figures import Figures, Receipt, figures
from tests.bench.generator import Job, Sent
from tests.bench.measured import Inbox, run
from tests.bench.servers import Servers
from tests.bench.workloads import Workload, bodies, thing_in
from tests.support.policies import policy_files
from tests.support.running import SERVICES, Running, eventually, running
from tests.support.stack import clone_database, drop_database, name_of

NAME = "tocsin"
_STEP = '{targets: ["user:anastasia"], wait: 1h}'


@asynccontextmanager
async def fresh(servers: Servers, receiver: Inbox, **environment: str) -> AsyncIterator[Running]:
    """A Tocsin without a past. One user is paged by webhook, once: the next step is an hour away, the only round."""
    database, prefix = await clone_database(servers.postgres, servers.template), f"b{uuid.uuid4().hex[:8]}."
    policy = policy_files(f"{receiver.url}/pages", _STEP, rounds=1)
    try:
        with TemporaryDirectory(prefix="tocsin-bench-") as folder:
            async with running(servers.kafka, database, prefix, Path(folder), policy, **environment) as tocsin:
                yield tocsin
    finally:
        await drop_database(servers.postgres, name_of(database))


async def through_tocsin(workload: Workload, servers: Servers, receiver: Inbox) -> Figures:
    """Run it on a stack of its own."""
    async with fresh(servers, receiver) as tocsin:
        return await measure(workload, servers, receiver, tocsin)


@dataclass(frozen=True, slots=True)
class Driven:
    """What generator and receiver noted of a run, what it cost, and how many accepted alerts are in no incident."""

    sent: Sent
    receipts: Sequence[Receipt]
    costs: Mapping[str, Cost]
    unaccounted: int


async def measure(workload: Workload, servers: Servers, receiver: Inbox, tocsin: Running) -> Figures:
    """Run it on a stack that is there."""
    driven = await drive(workload, servers, receiver, tocsin)
    return figures(NAME, workload, driven.sent, driven.receipts, driven.costs, driven.unaccounted)


async def drive(workload: Workload, servers: Servers, receiver: Inbox, tocsin: Running) -> Driven:
    """The same, with nothing made of it yet."""
    before = await _signals(tocsin.database)
    services = {name: [process.pid] for name, process in tocsin.processes.items()}
    groups = services | servers.processes()
    sent, receipts, costs = await run(_job(workload, tocsin), receiver, workload.things, groups, _things)
    accepted = sum(len(events) for events, taken in zip(workload.slices(), sent.taken, strict=True) if taken)
    held = await _signals(tocsin.database) - before
    return Driven(sent, receipts, costs, max(accepted - held, 0))


async def second_replicas(tocsin: Running) -> None:
    """Start another process of each service, and wait until it is ready."""
    for service in SERVICES:
        await tocsin.ready(await tocsin.start(service, replica=1))


async def reported(tocsin: Running, pages: int, seconds: float = 120) -> None:
    """Wait until reporting, the last in the row, knows of so many pages sent."""
    database = await asyncpg.connect(tocsin.database)

    async def told() -> bool:
        query = "SELECT count(*) FROM reporting.timeline WHERE type ~ 'PageSent'"
        return bool(await database.fetchval(query) >= pages)

    try:
        await eventually("reporting knows of all pages", told, seconds)
    finally:
        await database.close()


def _job(workload: Workload, tocsin: Running) -> Job:
    if workload.topic:
        keys = [str(workload.thing(event)) for event in workload.numbers]
        topic = tocsin.environment["TOCSIN_TOPIC_PREFIX"] + SIGNALS
        return Job(bodies(workload), bootstrap=tocsin.environment["TOCSIN_KAFKA"], topic=topic, keys=keys)
    form = "application/cloudevents-batch+json" if workload.batch > 1 else "application/cloudevents+json"
    return Job(
        bodies(workload),
        ports=[port for name, port in tocsin.ports.items() if name.startswith("intake")],
        path="/v1/signals",
        headers={"authorization": f"Bearer {tocsin.key}", "content-type": form},
        rate=workload.rate,
    )


def _things(page: Any) -> list[int]:
    return [thing_in(page["data"]["summary"])]


async def _signals(dsn: str) -> int:
    """How many signals are in incidents."""
    database = await asyncpg.connect(dsn)
    try:
        return int(await database.fetchval("SELECT coalesce(sum(signal_count), 0) FROM intake.incidents"))
    finally:
        await database.close()
