"""A Tocsin with a Kafka and a PostgreSQL of its own, all looked after by the local stack's
supervisor.
"""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from deploy.local import jars, ports
from deploy.local.kafka import Kafka
from deploy.local.paths import JARS
from deploy.local.postgres import THROWAWAY, Postgres, temporary_home
from deploy.local.server import Server
from deploy.local.state import State
from deploy.local.supervisor import Part, Supervisor
from shared.kafka.topics import TOPICS, apply_topics
from shared.postgres.migrate import migrate
from tests.support.policies import policy_files
from tests.support.running import SERVICES, Receiver, Running, Truth, eventually, prepared

T = TypeVar("T")
# A server that is killed must have what it called committed.
_SETTINGS = {**THROWAWAY, "synchronous_commit": "on"}


class _Forgetful(State):
    def save(self) -> None:
        """Nobody starts this stack again."""


@dataclass
class Supervised:
    """The stack, and the means to break it: nothing here starts a part again, the supervisor does."""

    kafka: Kafka
    postgres: Postgres
    folder: Path
    said: list[str] = field(default_factory=list)
    tocsin: Running = field(init=False)
    parts: dict[str, Part] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._supervisor = Supervisor(_Forgetful(), self._hear)
        # One thread for all: children end with the thread that made them.
        self._thread = ThreadPoolExecutor(1)

    def _hear(self, line: str) -> None:
        self.said.append(line)
        print(line.partition(" Its log")[0])

    async def start(self, part: Part) -> None:
        """Start a part, which is looked after from here on."""
        self.parts[part.name] = part
        await self._do(lambda: self._supervisor.start(part))

    async def look_after(self) -> None:
        """Do so until cancelled."""
        while True:
            await self._do(self._supervisor.check)
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """End all."""
        await self._do(self._supervisor.stop)
        self._thread.shutdown()

    def add_replica(self, service: str, instance: str) -> Server:
        """One more process of a service, not started."""
        port = self.tocsin.ports[service] if instance == "first" else ports.choose(1)[0]
        name = service if instance == "first" else f"{service} {instance}"
        environment = self.tocsin.environment | {"TOCSIN_INSTANCE": f"{service}-{instance}"}
        return Server(
            name,
            ["shared.runtime.cli", service, "serve"],
            port,
            environment,
            self.folder / f"{name}.log",
        )

    def pid(self, name: str) -> int:
        """Of the process that a part is now."""
        process = self.parts[name].process
        assert process
        return process.pid

    def send(self, name: str, number: signal.Signals) -> int:
        """Send a signal to a part's process; returns its pid."""
        pid = self.pid(name)
        os.kill(pid, number)
        return pid

    async def rest(self, name: str, seconds: float) -> None:
        """End a part, to be started again after that time (infinity: never)."""
        await self._do(lambda: self._supervisor.suspend(name, seconds))

    async def end(self, name: str) -> None:
        """End a part for good."""
        await self._do(lambda: self._supervisor.remove(name))
        del self.parts[name]

    async def renewed(self, name: str, old: int, seconds: float = 60) -> None:
        """Wait until a part is another process than `old`, and ready."""

        async def check() -> Truth:
            if self.pid(name) == old:
                return Truth(False, f"still {old}: {self.said[-3:]}")
            return await self._problem(self.parts[name])

        await eventually(f"{name} is there again", check, seconds)

    async def ready(self, *names: str) -> None:
        """Wait until these parts say that they can work; without names: all."""
        for name in names or self.parts:
            await eventually(f"{name} ready", partial(self._problem, self.parts[name]), 60)

    async def _problem(self, part: Part) -> Truth:
        problem = await asyncio.to_thread(part.problem)
        return Truth(problem is None, f"{problem}; {self.said[-3:]}")

    async def _do(self, step: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, step)


@asynccontextmanager
async def supervised(folder: Path, receiver: Receiver) -> AsyncIterator[Supervised]:
    """All of it, ready, with short waits in its policy."""
    kafka = Kafka(jars.fetch(JARS), folder / "kafka", folder / "kafka.log", *ports.choose(2))
    stack = Supervised(
        kafka, Postgres(temporary_home(), folder / "postgres.log", _SETTINGS), folder
    )
    try:
        await stack.start(stack.postgres)
        await stack.start(stack.kafka)
        looking = asyncio.create_task(stack.look_after())
        for service in SERVICES:
            await migrate(stack.postgres.dsn(), service)
        await apply_topics(kafka.bootstrap, "", TOPICS)
        async with prepared(
            kafka.bootstrap,
            stack.postgres.dsn(),
            "",
            folder,
            short_waits(receiver),
            TOCSIN_WEBHOOK_TIMEOUT="1",
        ) as stack.tocsin:
            for service in SERVICES:
                await stack.start(stack.add_replica(service, "first"))
            await stack.ready()
            yield stack
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking
    finally:
        await stack.stop()
        for home in (stack.postgres.home, stack.postgres.socket):
            shutil.rmtree(home, ignore_errors=True)


def short_waits(receiver: Receiver) -> dict[str, str]:
    """Policy files under which the second step is due after 2 s."""
    steps = (
        '{targets: ["user:anastasia"], wait: 2s}',
        '{targets: ["user:anastasia", "user:benedict"], wait: 1h}',
    )
    return policy_files(receiver.url, *steps, rounds=1, update_interval="1s")
