"""PostgreSQL's disk is full: accepted signals survive, no process ends, and work continues once
there is space.
"""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer

from deploy.local.postgres import THROWAWAY, Postgres, temporary_home
from shared.kafka.topics import SIGNALS
from shared.postgres.migrate import migrate
from tests.faults.conftest import responding
from tests.faults.storm import Storm
from tests.support.checker import complaints
from tests.support.evidence import checking
from tests.support.policies import policy_files
from tests.support.running import SERVICES, Receiver, Running, Truth, alert, eventually, running

SIZE = "size=192m"
SETTINGS = {**THROWAWAY, "synchronous_commit": "on", "min_wal_size": "32MB", "max_wal_size": "48MB"}


@dataclass
class Disk:
    """A small disk with a PostgreSQL on it."""

    postgres: Postgres

    @property
    def _filler(self) -> Path:
        return self.postgres.home / "filler"

    def fill(self) -> None:
        """Fill the disk to the last byte."""
        with self._filler.open("ab", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                with suppress(OSError):
                    while True:
                        file.write(b"x" * size)

    def free(self) -> None:
        """Free the space again."""
        self._filler.unlink()

    async def answers(self) -> bool:
        """Whether the server works; one that has ended is restarted, as a supervisor would."""
        assert self.postgres.process
        if self.postgres.process.poll() is not None:
            self.postgres.start()
        try:
            connection = await asyncpg.connect(self.postgres.dsn(), timeout=5)
            await connection.execute("SELECT 1")
            await connection.close()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        return True


@contextmanager
def small_disk(folder: Path) -> Iterator[Disk]:
    home = temporary_home()
    mount = ["mount", "-t", "tmpfs", "-o", SIZE, "tmpfs", str(home)]
    if os.getuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        shutil.rmtree(home)
        pytest.skip(
            "only root can create a disk of limited size, and only where mounting is permitted"
        )
    server = Postgres(home, folder / "postgres.log", SETTINGS)
    try:
        server.start()
        yield Disk(server)
    finally:
        server.stop()
        subprocess.run(["umount", "-l", home], check=False)
        shutil.rmtree(home, ignore_errors=True)
        shutil.rmtree(server.socket, ignore_errors=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path) as disk:
        yield disk


@pytest.fixture
async def tocsin(
    kafka: str, disk: Disk, topic_prefix: str, tmp_path: Path, receiver: Receiver
) -> AsyncIterator[Running]:
    for service in SERVICES:
        await migrate(disk.postgres.dsn(), service)
    policy = policy_files(
        receiver.url, '{targets: ["user:anastasia"], wait: 1h}', rounds=1, update_interval="1s"
    )
    async with running(kafka, disk.postgres.dsn(), topic_prefix, tmp_path, policy) as stack:
        yield stack


async def refused(tocsin: Running, disk: Disk, storm: Storm) -> Truth:
    """Whether a signal is refused now; an accepted one is noted."""
    name = f"full {len(storm.accepted.signals)}"
    headers = {
        "Authorization": f"Bearer {tocsin.key}",
        "Content-Type": "application/cloudevents+json",
    }
    disk.fill()
    event = alert(name, annotations={"long": "x" * 4000})
    async with tocsin.http.post(
        tocsin.url("intake", "/v1/signals"), json=event, headers=headers
    ) as answer:
        if answer.status == 202:
            storm.accepted.signals.add(("tests /probe", name))
            return Truth(False, "accepted")
        assert (answer.status, answer.content_type) == (503, "application/problem+json"), (
            await answer.text()
        )
        assert answer.headers["Retry-After"]
        return Truth(True, "refused")


async def test_a_full_disk_loses_nothing_that_was_accepted(
    kafka: str, topic_prefix: str, disk: Disk, tocsin: Running, receiver: Receiver, long: bool
) -> None:
    """First tables cannot grow; then the write-ahead log cannot, and the server itself ends."""
    async with (
        AIOKafkaProducer(bootstrap_servers=kafka, linger_ms=0) as producer,
        responding(Storm(tocsin, producer, topic_prefix + SIGNALS), receiver) as storm,
    ):
        for number in range(4 if long else 1):
            for breaks in (False, True):
                async with storm.steady(f"full {number} {breaks}"):
                    await fill_and_free(tocsin, disk, storm, breaks=breaks)
                for service in SERVICES:
                    assert tocsin.processes[service].returncode is None, "no process ended"
        log = disk.postgres.log.read_text()
        assert "No space left on device" in log
        assert "PANIC" in log
        async with checking(kafka, disk.postgres.dsn(), topic_prefix) as checker:
            await storm.settle(checker)
            evidence = await checker.evidence(receiver.received)
    assert complaints(evidence, storm.accepted) == []


async def fill_and_free(tocsin: Running, disk: Disk, storm: Storm, *, breaks: bool) -> None:
    """Fill the disk and free it again while signals arrive."""
    count = len(storm.accepted.signals) + 50
    await eventually("signals flow", lambda: storm.reached(count))
    disk.fill()
    if breaks:
        await exhaust_the_log(disk)
    await eventually("intake refuses", lambda: refused(tocsin, disk, storm))
    for service in SERVICES:
        async with tocsin.http.get(tocsin.probe(service, "/livez")) as answer:
            assert answer.status == 200
    disk.free()
    await eventually("the server is back", disk.answers)
    await tocsin.ready()
    again = len(storm.accepted.signals) + 50
    await eventually("signals flow again", lambda: storm.reached(again))


async def exhaust_the_log(disk: Disk) -> None:
    """Demand more files of the write-ahead log than there is space for."""
    with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection = await asyncpg.connect(disk.postgres.dsn(), timeout=5)
        while True:
            disk.fill()
            await connection.execute(
                "SELECT pg_logical_emit_message(false, 'x', 'x'); SELECT pg_switch_wal()"
            )
