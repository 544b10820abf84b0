"""The process that sends: `python -m tests.bench.generator JOB RESULT`, both JSON files.

Times are those of the monotonic clock, which all processes of a machine share. In a paced job an
event counts as sent when it was due, however late it left: the time that an event waits for a slow
system is part of that system's latency.
"""

import asyncio
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import uvloop
from aiokafka import AIOKafkaProducer

from tests.bench.http11 import Connection, request_head


@dataclass(frozen=True, slots=True)
class Job:
    """Bodies to send: as POSTs to `host`, where connections share `ports`, or to `topic`."""

    bodies: Sequence[str]
    host: str = "127.0.0.1"
    ports: Sequence[int] = ()
    path: str = "/"
    headers: dict[str, str] = field(default_factory=dict)
    connections: int = 32
    rate: float | None = None
    """Bodies a second; None is as fast as possible."""
    bootstrap: str | None = None
    topic: str = ""
    keys: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Sent:
    """When each body was sent and answered, and whether by a 2xx; and what sending cost."""

    sent: Sequence[float]
    answered: Sequence[float]
    taken: Sequence[bool]
    cpu_seconds: float
    peak_mb: float


Times = tuple[list[float], list[float], list[bool]]
Send = Callable[[int], Awaitable[bool]]


async def _drive(count: int, senders: Sequence[Send], rate: float | None) -> Times:
    sent, answered, taken = [0.0] * count, [0.0] * count, [False] * count
    numbers = iter(range(count))
    begin = time.monotonic() + (0.05 if rate else 0)

    async def work(send: Send) -> None:
        for number in numbers:
            sent[number] = begin + number / rate if rate else time.monotonic()
            if (early := sent[number] - time.monotonic()) > 0:
                await asyncio.sleep(early)
            taken[number] = await send(number)
            answered[number] = time.monotonic()

    await asyncio.gather(*(work(send) for send in senders))
    return sent, answered, taken


async def _by_http(job: Job) -> Times:
    loop, bodies = asyncio.get_running_loop(), [body.encode() for body in job.bodies]
    head = request_head(job.host, job.path, job.headers)
    ports = [job.ports[number % len(job.ports)] for number in range(job.connections)]
    opened = [await loop.create_connection(Connection, job.host, port) for port in ports]

    def sender(connection: Connection) -> Send:
        async def send(number: int) -> bool:
            status, _ = await connection.post(head, bodies[number])
            return 200 <= status < 300

        return send

    try:
        return await _drive(len(bodies), [sender(connection) for _, connection in opened], job.rate)
    finally:
        for transport, _ in opened:
            transport.close()


async def _by_topic(job: Job) -> Times:
    bodies = [(key.encode(), body.encode()) for key, body in zip(job.keys, job.bodies, strict=True)]
    producer = AIOKafkaProducer(
        bootstrap_servers=job.bootstrap, enable_idempotence=True, linger_ms=2
    )
    async with producer:

        async def send(number: int) -> bool:
            key, body = bodies[number]
            await producer.send_and_wait(job.topic, body, key)
            return True

        return await _drive(len(bodies), [send] * 1000, job.rate)


async def run(job: Job) -> Sent:
    """Send all bodies."""
    before = time.process_time()
    times = await (_by_topic(job) if job.bootstrap else _by_http(job))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Sent(*times, cpu_seconds=time.process_time() - before, peak_mb=peak)


if __name__ == "__main__":
    given = Job(**orjson.loads(Path(sys.argv[1]).read_bytes()))
    Path(sys.argv[2]).write_bytes(orjson.dumps(uvloop.run(run(given))))
