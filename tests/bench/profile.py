"""Where the time of a run goes: by stage, by SQL statement, and by Python function."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg
import orjson
from rich.console import Console
from rich.table import Table

from shared.events import intake, triage
from tests.bench.candidate import Candidate
from tests.bench.figures import first_sent, quantile
from tests.bench.measured import inbox
from tests.bench.servers import Servers
from tests.bench.tocsin import Driven, drive, fresh, reported
from tests.bench.workloads import Workload, thing_in
from tests.support.running import SERVICES, Running

SETTINGS = {"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.max": "10000"}
"""The settings that PostgreSQL needs for a profile."""
_SAMPLING = Path(__file__).with_name("sampling")
_MOMENTS = """
WITH published AS (
    SELECT topic, key, min(recorded_at) AS at FROM reporting.audit GROUP BY topic, key
)
SELECT i.summary, ARRAY[
    i.opened_at, opened.at, t.decided_at, triaged.at, d.created_at, d.started_at
] AS moments
FROM intake.incidents i JOIN triage.incidents t USING (incident_id)
JOIN escalation.deliveries d ON d.incident_id = i.incident_id
JOIN published opened ON opened.topic = $1 AND opened.key = i.incident_id::text::bytea
JOIN published triaged ON triaged.topic = $2 AND triaged.key = i.incident_id::text::bytea
"""
_OWN = ("services/", "shared/")
_STAGES = (
    "intake: waits, read, decided",
    "intake: commit, outbox to Kafka's send",
    "triage: fetched, decided",
    "triage: commit, outbox to Kafka's send",
    "escalation: fetched, decided",
    "escalation: commit, page waits, claimed",
    "escalation: page sent to first receipt",
)
_STATEMENTS = """
SELECT rolname, calls, rows, total_exec_time, regexp_replace(query, '\\s+', ' ', 'g') AS query
FROM pg_stat_statements JOIN pg_roles ON pg_roles.oid = userid
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
AND rolname LIKE 'tocsin_%'
ORDER BY total_exec_time DESC LIMIT 30
"""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement, and the time that PostgreSQL spent on it."""

    service: str
    calls: int
    rows: int
    total_ms: float
    text: str


async def profile_all(
    workloads: Sequence[Workload], servers: Servers, candidate: Candidate, console: Console
) -> None:
    """Profile one workload after the other."""
    for workload in workloads:
        console.log(f"{workload.name}, {workload.title}")
        await profile(workload, servers, candidate, console)


async def profile(
    workload: Workload, servers: Servers, candidate: Candidate, console: Console
) -> None:
    """Run a workload on a Tocsin that is started for it, and show where the time went."""
    with TemporaryDirectory(prefix="tocsin-bench-") as folder:
        sampled = {"PYTHONPATH": str(_SAMPLING), "SAMPLES": folder}
        async with inbox() as receiver, fresh(servers, receiver, candidate, **sampled) as tocsin:
            await _forget_statements(tocsin.database)
            driven = await drive(workload, servers, receiver, tocsin)
            statements = await _statements(tocsin.database)
            show_stages(console, workload, await stages(workload, driven, tocsin))
        show_statements(console, statements)
        for service in SERVICES:
            show_samples(console, service, Path(folder))


async def stages(workload: Workload, driven: Driven, tocsin: Running) -> list[list[float]]:
    """For each stage its milliseconds, sorted. Waits until reporting knows of all pages."""
    await reported(tocsin, len(driven.receipts))
    database = await asyncpg.connect(tocsin.database)
    try:
        rows = await database.fetch(_MOMENTS, intake.TOPIC, triage.TOPIC)
    finally:
        await database.close()
    first = {receipt.thing: receipt for receipt in reversed(driven.receipts)}
    begun = first_sent(workload, driven.sent)
    known = [(thing_in(row["summary"]), row["moments"]) for row in rows]
    paths = [[_wall(begun[t]), *between, _wall(first[t].at)] for t, between in known if t in first]
    return [sorted(_milliseconds(path, n) for path in paths) for n in range(len(_STAGES))]


def _milliseconds(path: Sequence[datetime], stage: int) -> float:
    return (path[stage + 1] - path[stage]).total_seconds() * 1000


def _wall(monotonic: float) -> datetime:
    return datetime.fromtimestamp(time.time() - time.monotonic() + monotonic, UTC)


async def _forget_statements(dsn: str) -> None:
    database = await asyncpg.connect(dsn)
    try:
        await database.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        await database.execute("SELECT pg_stat_statements_reset()")
    finally:
        await database.close()


async def _statements(dsn: str) -> list[Statement]:
    database = await asyncpg.connect(dsn)
    try:
        return [Statement(*row) for row in await database.fetch(_STATEMENTS)]
    finally:
        await database.close()


def show_stages(console: Console, workload: Workload, parts: Sequence[Sequence[float]]) -> None:
    """Show the stages as a table."""
    table = Table("stage", title=f"{workload.title}: milliseconds from one stage to the next")
    for name in ("p50", "p99"):
        table.add_column(name, justify="right")
    for name, ordered in zip(_STAGES, parts, strict=True):
        table.add_row(name, f"{quantile(ordered, 50):,}", f"{quantile(ordered, 99):,}")
    console.print(table)


def show_statements(console: Console, statements: Sequence[Statement]) -> None:
    """Show the statements as a table."""
    columns = ("service", "calls", "rows", "total ms", "ms each", "statement")
    table = Table(*columns, title="SQL by total time")
    for s in statements:
        counts = (f"{s.calls:,}", f"{s.rows:,}")
        times = (f"{s.total_ms:,.0f}", f"{s.total_ms / s.calls:.2f}")
        table.add_row(s.service.removeprefix("tocsin_"), *counts, *times, s.text[:90])
    console.print(table)


def show_samples(console: Console, service: str, folder: Path) -> None:
    """Show which functions of a service ran, and which were on the stack."""
    leaves, stacks = _samples(service, folder)
    total = leaves.total() or 1
    title = f"{service}: {total * 5:,} ms of CPU in Python's main thread"
    table = Table("it ran", "%", "it was on the stack", "%", title=title)
    pairs = zip(leaves.most_common(30), stacks.most_common(30), strict=False)
    for (leaf, own), (caller, below) in pairs:
        table.add_row(leaf, f"{own / total:.1%}", caller, f"{below / total:.1%}")
    console.print(table)


def _samples(service: str, folder: Path) -> tuple[Counter[str], Counter[str]]:
    """How often a function ran, and how often one of Tocsin's own was on the stack."""
    leaves, stacks = Counter[str](), Counter[str]()
    for file in folder.glob(f"{service}-*.json"):
        found: dict[str, Any] = orjson.loads(file.read_bytes())
        leaves.update(found["leaves"])
        stacks.update({name: n for name, n in found["stacks"].items() if name.startswith(_OWN)})
    return leaves, stacks
