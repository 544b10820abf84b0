"""A Tocsin with its own Kafka and PostgreSQL, all run by the local stack's supervisor."""

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
from shared.kafka.provisioning import apply_topics
from shared.kafka.topics import TOPICS
from shared.postgres.migrate import migrate
from tests.support.policies import policy_files
from tests.support.running import SERVICES, Receiver, Running, Truth, eventually, prepared
from tests.support.stack import PATIENCE_SECONDS

T = TypeVar("T")
# Commits must survive a kill of the server.
_SETTINGS = {**THROWAWAY, "synchronous_commit": "on"}


class _Unsaved(State):
    def save(self) -> None:
        """Do not save: this stack is never started again."""


@dataclass
class Supervised:
    """The stack, and methods that break it. Only the supervisor restarts parts."""

    kafka: Kafka
    postgres: Postgres
    folder: Path
    messages: list[str] = field(default_factory=list)
    tocsin: Running = field(init=False)
    parts: dict[str, Part] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._supervisor = Supervisor(_Unsaved(), self._report)
        # One thread for all: children end with the thread that started them.
        self._thread = ThreadPoolExecutor(1)

    def _report(self, line: str) -> None:
        self.messages.append(line)
        print(line.partition(" Its log")[0])

    async def start(self, part: Part) -> None:
        """Start a part and supervise it."""
        self.parts[part.name] = part
        await self._do(lambda: self._supervisor.start(part))

    async def supervise(self) -> None:
        """Supervise until cancelled."""
        while True:
            await self._do(self._supervisor.check)
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """Stop everything."""
        await self._do(self._supervisor.stop)
        self._thread.shutdown()

    def add_replica(self, service: str, instance: str, **environment: str) -> Server:
        """One more process of a service, not started yet."""
        port, probes_port = ports.choose(2)
        if instance == "first":
            port = self.tocsin.ports[service]
            self.tocsin.probe_ports[service] = probes_port
        name = service if instance == "first" else f"{service} {instance}"
        own = {"TOCSIN_INSTANCE": f"{service}-{instance}", **environment}
        return Server(
            name,
            ["shared.runtime.cli", service, "serve"],
            port,
            self.tocsin.environment | own,
            self.folder / f"{name}.log",
            probes_port,
        )

    def pid(self, name: str) -> int:
        """The pid of a part's current process."""
        process = self.parts[name].process
        assert process
        return process.pid

    def send(self, name: str, number: signal.Signals) -> int:
        """Send a signal to a part's process; returns its pid."""
        pid = self.pid(name)
        os.kill(pid, number)
        return pid

    async def suspend(self, name: str, seconds: float) -> None:
        """Stop a part, to be restarted after `seconds` (infinity: never)."""
        await self._do(lambda: self._supervisor.suspend(name, seconds))

    async def remove(self, name: str) -> None:
        """Stop a part for good."""
        await self._do(lambda: self._supervisor.remove(name))
        del self.parts[name]

    async def renewed(self, name: str, old: int, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until a part has another pid than `old` and is ready."""

        async def check() -> Truth:
            if self.pid(name) == old:
                return Truth(False, f"still {old}: {self.messages[-3:]}")
            return await self._problem(self.parts[name])

        await eventually(f"{name} is back", check, seconds)

    async def ready(self, *names: str) -> None:
        """Wait until these parts are ready; all of them if none is named."""
        for name in names or self.parts:
            await eventually(f"{name} ready", partial(self._problem, self.parts[name]))

    async def _problem(self, part: Part) -> Truth:
        problem = await asyncio.to_thread(part.problem)
        return Truth(problem is None, f"{problem}; {self.messages[-3:]}")

    async def _do(self, step: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, step)


@asynccontextmanager
async def supervised(folder: Path, receiver: Receiver) -> AsyncIterator[Supervised]:
    """All parts, ready, with a policy of short waits."""
    kafka = Kafka(jars.fetch(JARS), folder / "kafka", folder / "kafka.log", *ports.choose(2))
    stack = Supervised(
        kafka, Postgres(temporary_home(), folder / "postgres.log", _SETTINGS), folder
    )
    try:
        await stack.start(stack.postgres)
        await stack.start(stack.kafka)
        supervising = asyncio.create_task(stack.supervise())
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
        supervising.cancel()
        with suppress(asyncio.CancelledError):
            await supervising
    finally:
        await stack.stop()
        for home in (stack.postgres.home, stack.postgres.socket):
            shutil.rmtree(home, ignore_errors=True)


def short_waits(receiver: Receiver) -> dict[str, str]:
    """Policy files in which step 2 is due after 2 s."""
    steps = (
        '{targets: ["user:anastasia"], wait: 2s}',
        '{targets: ["user:anastasia", "user:benedict"], wait: 1h}',
    )
    return policy_files(receiver.url, *steps, rounds=1, update_interval="1s")
