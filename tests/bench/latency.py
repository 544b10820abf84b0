"""From a signal sent by HTTP to the idle stack until its page reaches the webhook: `python -m tests.bench.latency`.

One signal at a time, each a new incident. The stages come from what the services themselves keep: times of rows,
and the broker's timestamps of records (which are those of the relay's `send`).
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import asyncpg
from rich.console import Console
from rich.table import Table

from shared.events import intake, triage
from tests.support.policies import policy_files
from tests.support.running import Received, Receiver, Running, alert, eventually, running
from tests.support.stack import clone_database, kafka_server, postgres_server, template_database

_WARM_UP = 5


class Sample(NamedTuple):
    """One signal: its incident, when it was sent, when it was answered and when its page arrived."""

    incident: str
    sent: datetime
    answered: datetime
    arrived: datetime


_STAGES = """
SELECT i.opened_at,
       (SELECT min(recorded_at) FROM reporting.audit WHERE topic = $2 AND key = i.incident_id::text::bytea),
       t.decided_at,
       (SELECT min(recorded_at) FROM reporting.audit WHERE topic = $3 AND key = i.incident_id::text::bytea),
       d.created_at,
       d.started_at
FROM intake.incidents i JOIN triage.incidents t USING (incident_id)
JOIN escalation.deliveries d ON d.incident_id = i.incident_id
WHERE i.incident_id = $1::uuid
"""
_NAMES = (
    "intake: request read, decided",
    "intake: commit, relay to Kafka's send",
    "triage: fetched, decided",
    "triage: commit, relay to Kafka's send",
    "escalation: fetched, decided",
    "escalation: commit, page claimed",
    "escalation: commit, page sent to the webhook",
)


async def measure(tocsin: Running, receiver: Receiver, count: int) -> list[Sample]:
    """Send signals, each when the page of the one before has arrived and the stack has come to rest."""
    arrivals: dict[str, datetime] = {}

    def arrived(page: Received) -> int:
        arrivals.setdefault(page.body["data"]["incident_id"], datetime.now(UTC))
        return 200

    receiver.answer = arrived
    database = await asyncpg.connect(tocsin.database)
    samples = []
    try:
        for number in range(count + _WARM_UP):
            sent = datetime.now(UTC)
            answer = await tocsin.signals(alert(f"{time.time_ns()}-{number}"))
            answered = datetime.now(UTC)
            incident = answer["signals"][0]["subject"]
            await eventually("the page arrives", lambda: _present(arrivals, incident))  # noqa: B023 - awaited here
            await eventually("all is at rest", lambda: _told(database, incident))  # noqa: B023
            samples.append(Sample(incident, sent, answered, arrivals[incident]))
    finally:
        await database.close()
    return samples[_WARM_UP:]


async def _present(arrivals: dict[str, datetime], incident: str) -> bool:
    return incident in arrivals


async def _told(database: "asyncpg.Connection[asyncpg.Record]", incident: str) -> bool:
    """Reporting, the last in the row, knows of the page."""
    query = "SELECT count(*) > 0 FROM reporting.timeline WHERE incident_id = $1::uuid AND type ~ 'PageSent'"
    return bool(await database.fetchval(query, incident))


async def stages(dsn: str, samples: Sequence[Sample]) -> list[list[float]]:
    """For each stage its milliseconds, sample by sample."""
    database = await asyncpg.connect(dsn)
    try:
        rows = [await database.fetchrow(_STAGES, sample.incident, intake.TOPIC, triage.TOPIC) for sample in samples]
    finally:
        await database.close()
    moments = [[s.sent, *(row or ()), s.arrived] for s, row in zip(samples, rows, strict=True)]
    return [[_milliseconds(m[place], m[place + 1]) for m in moments] for place in range(len(_NAMES))]


def _milliseconds(begin: datetime, end: datetime) -> float:
    return (end - begin).total_seconds() * 1000


def resident(tocsin: Running) -> dict[str, float]:
    """Resident memory of each service in MB."""
    pages = {
        name: int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
        for name, process in tocsin.processes.items()
    }
    return {name: count * 4096 / 1e6 for name, count in pages.items()}


def show(samples: Sequence[Sample], parts: Sequence[Sequence[float]], memory: dict[str, float]) -> None:
    """The table."""
    table = Table("milliseconds", "median", "p95", title=f"{len(samples)} signals, one after the other")
    rows = [
        ("signal sent to page arrived", [_milliseconds(s.sent, s.arrived) for s in samples]),
        ("signal sent to 2xx", [_milliseconds(s.sent, s.answered) for s in samples]),
        *zip(_NAMES, parts, strict=True),
    ]
    for place, (name, values) in enumerate(rows):
        p95 = statistics.quantiles(values, n=20)[-1]
        table.add_row(name, f"{statistics.median(values):.1f}", f"{p95:.1f}", end_section=place == 1)
    console = Console()
    console.print(table)
    console.print("resident:", ", ".join(f"{name} {size:.0f} MB" for name, size in memory.items()))


async def bench(kafka: str, postgres: str, template: str, count: int) -> None:
    """Start a stack of its own, measure, show."""
    database = await clone_database(postgres, template)
    with tempfile.TemporaryDirectory() as folder:
        async with Receiver().listening() as receiver:
            policy = policy_files(receiver.url, '{targets: ["user:anastasia"], wait: 1h}', rounds=1)
            async with running(kafka, database, "latency.", Path(folder), policy) as tocsin:
                samples = await measure(tocsin, receiver, count)
                show(samples, await stages(database, samples), resident(tocsin))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--signals", type=int, default=50)
    count = parser.parse_args().signals
    with kafka_server() as kafka, postgres_server() as postgres, template_database(postgres) as template:
        asyncio.run(bench(kafka, postgres, template, count))


if __name__ == "__main__":
    main()
