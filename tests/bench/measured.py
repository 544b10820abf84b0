"""One run: generator and receiver as processes, and the wait until all pages have arrived."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import orjson

from deploy.local.ports import choose
from tests.bench.cost import Cost, costs, costs_since
from tests.bench.figures import Receipt
from tests.bench.generator import Job, Sent
from tests.support.running import eventually

_QUIET_SECONDS = 20
"""After so long without a new page, the pages that are missing are lost."""


class Inbox:
    """The receiver process."""

    def __init__(self, port: int, pid: int, http: aiohttp.ClientSession) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.pid = pid
        self._http = http

    async def answers(self) -> bool:
        """Whether it listens."""
        try:
            await self.count()
        except aiohttp.ClientError:
            return False
        return True

    async def count(self) -> int:
        """The number of requests since the last `take`."""
        async with self._http.get(f"{self.url}/mark") as answer:
            return int(await answer.text())

    async def take(self) -> list[tuple[float, Any]]:
        """The requests so far: monotonic time and JSON body. The receiver forgets them."""
        async with self._http.get(f"{self.url}/take") as answer:
            return [(at, orjson.loads(body)) for at, body in orjson.loads(await answer.read())]

    async def settled(self, expected: int) -> None:
        """Wait until the expected requests have arrived, or none has arrived for long."""
        seen, quiet_since = -1, 0.0
        while True:
            count, now = await self.count(), asyncio.get_running_loop().time()
            if count != seen:
                seen, quiet_since = count, now
            if count >= expected or now - quiet_since > _QUIET_SECONDS:
                return
            await asyncio.sleep(0.1)


@asynccontextmanager
async def inbox(
    module: str = "tests.bench.receiver", role: str | None = None, *arguments: str
) -> AsyncIterator[Inbox]:
    """A receiver that ends with the block: a module, its role, and arguments after the port."""
    port = choose(1)[0]
    command = ["-m", module, *([role] if role else []), str(port), *arguments]
    process = await asyncio.create_subprocess_exec(sys.executable, *command)
    try:
        async with aiohttp.ClientSession() as http:
            receiver = Inbox(port, process.pid, http)
            await eventually("the receiver listens", receiver.answers)
            yield receiver
    finally:
        process.kill()
        await process.wait()


async def generate(job: Job) -> Sent:
    """Run a job in a process. Raises RuntimeError when it fails."""
    with TemporaryDirectory(prefix="tocsin-bench-") as folder:
        task, result = Path(folder) / "job.json", Path(folder) / "result.json"
        task.write_bytes(orjson.dumps(asdict(job)))
        command = ("-m", "tests.bench.generator", task, result)
        process = await asyncio.create_subprocess_exec(sys.executable, *command)
        try:
            if status := await process.wait():
                raise RuntimeError(f"the generator ended with status {status}")
        finally:
            if process.returncode is None:
                process.kill()
        return Sent(**orjson.loads(result.read_bytes()))


async def run(
    job: Job,
    receiver: Inbox,
    expected: int,
    groups: dict[str, list[int]],
    read: Callable[[Any], list[int]],
) -> tuple[Sent, list[Receipt], dict[str, Cost]]:
    """Send, wait for the expected requests, and return what was noted and the cost of `groups`.

    `read` returns the things that the body of a request is about.
    """
    groups = groups | {"receiver": [receiver.pid]}
    await receiver.take()
    before = costs(groups)
    sent = await generate(job)
    await receiver.settled(expected)
    generator = Cost(round(sent.cpu_seconds, 2), round(sent.peak_mb, 1))
    cost = costs_since(groups, before) | {"generator": generator}
    receipts = [Receipt(at, thing) for at, page in await receiver.take() for thing in read(page)]
    return sent, receipts, cost
