"""A workload through the four services: processes with default settings on new topics."""

import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg

from deploy.local.ports import choose
from shared.kafka.topics import SIGNALS
from tests.bench.candidate import Candidate
from tests.bench.cost import Cost
from tests.bench.figures import Figures, Receipt, figures
from tests.bench.generator import Job, Sent
from tests.bench.measured import Inbox, run
from tests.bench.roles import set_roles
from tests.bench.servers import Servers
from tests.bench.workloads import Workload, bodies, thing_in
from tests.support.policies import policy_files
from tests.support.running import SERVICES, Running, eventually, idle
from tests.support.settings import service_settings, write_policy
from tests.support.stack import clone_database, drop_database, name_of

NAME = "tocsin"
"""This checkout's version, in the figures."""
_STEP = '{targets: ["user:anastasia"], wait: 1h}'


@asynccontextmanager
async def fresh(
    servers: Servers, receiver: Inbox, candidate: Candidate, **environment: str
) -> AsyncIterator[Running]:
    """A Tocsin with an empty database and empty topics, ready.

    One user is paged by webhook, once: there is one round, and its next step is an hour away.
    """
    async with _own_database(servers, candidate) as database:
        with TemporaryDirectory(prefix="tocsin-bench-") as name:
            folder, prefix = Path(name), f"b{uuid.uuid4().hex[:8]}."
            write_policy(folder, policy_files(f"{receiver.url}/pages", _STEP, rounds=1))
            ports = dict(zip(SERVICES, choose(len(SERVICES)), strict=True))
            settings = service_settings(servers.kafka, database, prefix, folder, ports)
            key = await _set_up(candidate, settings)
            settings |= environment
            async with idle(settings, ports, key, folder, database, candidate.version) as tocsin:
                await tocsin.start_all()
                yield tocsin


@asynccontextmanager
async def _own_database(servers: Servers, candidate: Candidate) -> AsyncIterator[str]:
    """The admin DSN of a copy of the candidate's database."""
    await set_roles(servers.postgres, candidate.roles)
    database = await clone_database(servers.postgres, candidate.template)
    try:
        yield database
    finally:
        await drop_database(servers.postgres, name_of(database))


async def _set_up(candidate: Candidate, settings: Mapping[str, str]) -> str:
    """Make the topics, and the integration key that is returned."""
    await candidate.version.run("topics", "apply", **settings)
    return await candidate.version.create_key("bench", **settings)


async def through_tocsin(
    workload: Workload, servers: Servers, receiver: Inbox, candidate: Candidate
) -> Figures:
    """Run a workload on a Tocsin that is started for it."""
    async with fresh(servers, receiver, candidate) as tocsin:
        return await measure(workload, servers, receiver, tocsin, candidate.name)


@dataclass(frozen=True, slots=True)
class Driven:
    """What generator and receiver noted in a run, and what the run cost.

    `unaccounted` is the number of accepted alerts that are in no incident.
    """

    sent: Sent
    receipts: Sequence[Receipt]
    costs: Mapping[str, Cost]
    unaccounted: int


async def measure(
    workload: Workload, servers: Servers, receiver: Inbox, tocsin: Running, name: str = NAME
) -> Figures:
    """Run a workload on a Tocsin that runs; the figures get the name."""
    driven = await drive(workload, servers, receiver, tocsin)
    noted = (driven.sent, driven.receipts, driven.costs, driven.unaccounted)
    return figures(name, workload, *noted)


async def drive(workload: Workload, servers: Servers, receiver: Inbox, tocsin: Running) -> Driven:
    """Run a workload on a Tocsin that runs; returns what was noted."""
    before = await _signals(tocsin.database)
    services = {name: [process.pid] for name, process in tocsin.processes.items()}
    groups = services | servers.processes()
    job = _job(workload, tocsin)
    sent, receipts, costs = await run(job, receiver, workload.things, groups, _things)
    answers = zip(workload.slices(), sent.taken, strict=True)
    accepted = sum(len(events) for events, taken in answers if taken)
    held = await _signals(tocsin.database) - before
    return Driven(sent, receipts, costs, max(accepted - held, 0))


async def second_replicas(tocsin: Running) -> None:
    """Start another process of each service, and wait until it is ready."""
    for service in SERVICES:
        await tocsin.ready(await tocsin.start(service, replica=1))


async def reported(tocsin: Running, pages: int, seconds: float = 120) -> None:
    """Wait until reporting, the last service in the row, knows of so many sent pages."""
    query = "SELECT count(*) FROM reporting.timeline WHERE type ~ 'PageSent'"
    database = await asyncpg.connect(tocsin.database)

    async def known() -> bool:
        return bool(await database.fetchval(query) >= pages)

    try:
        await eventually("reporting knows of all pages", known, seconds)
    finally:
        await database.close()


def _job(workload: Workload, tocsin: Running) -> Job:
    if workload.topic:
        return Job(
            bodies(workload),
            bootstrap=tocsin.environment["TOCSIN_KAFKA"],
            topic=tocsin.environment["TOCSIN_TOPIC_PREFIX"] + SIGNALS,
            keys=[str(workload.thing(event)) for event in workload.numbers],
        )
    form = "cloudevents-batch+json" if workload.batch > 1 else "cloudevents+json"
    return Job(
        bodies(workload),
        ports=[port for name, port in tocsin.ports.items() if name.startswith("intake")],
        path="/v1/signals",
        headers={"authorization": f"Bearer {tocsin.key}", "content-type": f"application/{form}"},
        rate=workload.rate,
    )


def _things(page: Any) -> list[int]:
    return [thing_in(page["data"]["summary"])]


async def _signals(dsn: str) -> int:
    """The number of signals in all incidents."""
    query = "SELECT coalesce(sum(signal_count), 0) FROM intake.incidents"
    database = await asyncpg.connect(dsn)
    try:
        return int(await database.fetchval(query))
    finally:
        await database.close()
