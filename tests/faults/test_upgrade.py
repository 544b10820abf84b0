"""A version and the one before run side by side under load, with the schema of the new one, forward
and back: no signal is lost, nobody is paged twice.
"""

import dataclasses
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from deploy.local.ports import choose
from shared.kafka.topics import SIGNALS
from tests.bench.baseline import install
from tests.faults.conftest import responding
from tests.faults.storm import Storm
from tests.faults.supervised import short_waits
from tests.support.checker import complaints
from tests.support.evidence import checking
from tests.support.running import SERVICES, Receiver, Running, eventually, idle
from tests.support.settings import service_settings, write_policy
from tests.support.stack import drop_database, name_of, new_database
from tests.support.version import THIS, Version

_BASELINE = re.compile(r"--against ([0-9a-f]{7,40})")
_FORWARD, _BACK = tuple(reversed(SERVICES)), SERVICES
"""The orders of docs/runbooks/upgrade.md: who reads knows what is written."""


def version_before() -> Version:
    """The commit that docs/performance.md names, installed beside this checkout."""
    found = _BASELINE.search((THIS.folder / "docs" / "performance.md").read_text())
    assert found
    return install(found[1], print).version


@asynccontextmanager
async def upgrading(
    kafka: str, postgres: str, prefix: str, folder: Path, receiver: Receiver
) -> AsyncIterator[tuple[Running, Running]]:
    """A Tocsin of the version before, which runs, and one of this version on the same database and
    topics, of which no process runs yet.
    """
    before, database = version_before(), await new_database(postgres)
    ports = dict(zip(SERVICES, choose(len(SERVICES)), strict=True))
    settings = service_settings(kafka, database, prefix, folder, ports)
    settings |= {"TOCSIN_WEBHOOK_TIMEOUT": "1", "TOCSIN_POSTGRES_ADMIN": database}
    write_policy(folder, short_waits(receiver))
    try:
        await before.run("topics", "apply", **settings)
        for service in SERVICES:
            await before.run(service, "migrate", **settings)
        key = await before.create_key("tests", **settings)
        async with (
            idle(settings, ports, key, folder, database, before) as old,
            idle(settings, dict(ports), key, folder, database) as new,
        ):
            await old.start_all()
            yield old, new
    finally:
        await drop_database(postgres, name_of(database))


def sending_to(tocsin: Running, producer: AIOKafkaProducer, prefix: str) -> Storm:
    """A storm with ports of its own, which follow the processes that run."""
    target = dataclasses.replace(tocsin, ports=dict(tocsin.ports))
    return Storm(target, producer, prefix + SIGNALS)


async def replace(old: Running, new: Running, storm: Storm, order: Iterable[str]) -> None:
    """Start a process of each service beside the one that runs, then stop that."""
    for service in order:
        name = await new.start(service, 0 if new.version != THIS else 1)
        await new.ready(name)
        if name != service:
            new.ports[service] = new.ports[name]
        if service in ("intake", "escalation"):
            storm.tocsin.ports[service] = new.ports[service]
        running = service if service in old.processes else f"{service}-1"
        old.processes[running].terminate()
        assert await old.processes.pop(running).wait() == 0
        arrived = len(storm.accepted.signals) + 30
        await eventually("more signals", partial(storm.reached, arrived))


async def test_an_upgrade_and_the_way_back_lose_and_double_nothing(
    kafka: str, postgres: str, topic_prefix: str, tmp_path: Path, receiver: Receiver, long: bool
) -> None:
    if not long:
        pytest.skip("it installs another commit: make faults")
    async with (
        upgrading(kafka, postgres, topic_prefix, tmp_path, receiver) as (old, new),
        AIOKafkaProducer(bootstrap_servers=kafka) as producer,
        responding(
            Storm(
                dataclasses.replace(old, ports=dict(old.ports)), producer, topic_prefix + SIGNALS
            ),
            receiver,
        ) as storm,
    ):
        async with storm.steady("upgraded"):
            await eventually("signals", partial(storm.reached, 60))
            settings = {k: v for k, v in new.environment.items() if k.startswith("TOCSIN_")}
            await THIS.run("topics", "apply", **settings)
            applied = [await THIS.run(name, "migrate", **settings) for name in SERVICES]
            assert "plumbing/" in applied[0], "the schemas of the two versions differ"
            await replace(old, new, storm, _FORWARD)
            await replace(new, old, storm, _BACK)
            await replace(old, new, storm, _FORWARD)
        async with checking(kafka, old.database, topic_prefix) as checker:
            await storm.settle(checker)
            evidence = await checker.evidence(receiver.received)
    found = complaints(evidence, storm.accepted)
    assert not found, "\n".join(found)
    print(f"{len(storm.accepted.signals)} signals, {len(receiver.received)} pages")
