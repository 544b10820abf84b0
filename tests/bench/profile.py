"""Where the time of a run goes: stage by stage, statement by statement, and in each service's Python."""

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
from tests.bench.figures import first_sent, quantile
from tests.bench.measured import inbox
from tests.bench.servers import Servers
from tests.bench.tocsin import Driven, drive, fresh, reported
from tests.bench.workloads import Workload, thing_in
from tests.support.running import SERVICES, Running

SETTINGS = {"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.max": "10000"}
"""What the server needs for it."""
_SAMPLING = Path(__file__).with_name("sampling")
_MOMENTS = """
WITH told AS (SELECT topic, key, min(recorded_at) AS at FROM reporting.audit GROUP BY topic, key)
SELECT i.summary, ARRAY[i.opened_at, i_told.at, t.decided_at, t_told.at, d.created_at, d.started_at] AS moments
FROM intake.incidents i JOIN triage.incidents t USING (incident_id)
JOIN escalation.deliveries d ON d.incident_id = i.incident_id
JOIN told i_told ON i_told.topic = $1 AND i_told.key = i.incident_id::text::bytea
JOIN told t_told ON t_told.topic = $2 AND t_told.key = i.incident_id::text::bytea
"""
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
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND rolname LIKE 'tocsin_%'
ORDER BY total_exec_time DESC LIMIT 30
"""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement's share of the database's time."""

    service: str
    calls: int
    rows: int
    total_ms: float
    text: str


async def profile(workload: Workload, servers: Servers, console: Console) -> None:
    """Run a workload on a stack of its own and show where its time went."""
    with TemporaryDirectory(prefix="tocsin-bench-") as folder:
        sampled = {"PYTHONPATH": str(_SAMPLING), "SAMPLES": folder}
        async with inbox() as receiver, fresh(servers, receiver, **sampled) as tocsin:
            await _forget_statements(tocsin.database)
            driven = await drive(workload, servers, receiver, tocsin)
            statements = await _statements(tocsin.database)
            show_stages(console, workload, await stages(workload, driven, tocsin))
        show_statements(console, statements)
        for service in SERVICES:
            show_samples(console, service, Path(folder))


async def stages(workload: Workload, driven: Driven, tocsin: Running) -> list[list[float]]:
    """For each stage its milliseconds, page by page, in order. Waits until reporting knows of all pages."""
    await reported(tocsin, len(driven.receipts))
    database = await asyncpg.connect(tocsin.database)
    try:
        rows = await database.fetch(_MOMENTS, intake.TOPIC, triage.TOPIC)
    finally:
        await database.close()
    first = {receipt.thing: receipt for receipt in reversed(driven.receipts)}
    begun = first_sent(workload, driven.sent)
    known = [(thing_in(row["summary"]), row["moments"]) for row in rows]
    moments = [[_wall(begun[t]), *between, _wall(first[t].at)] for t, between in known if t in first]
    return [sorted((m[n + 1] - m[n]).total_seconds() * 1000 for m in moments) for n in range(len(_STAGES))]


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
    """The table of stages."""
    table = Table("stage", title=f"{workload.title}: milliseconds from one stage to the next")
    for name in ("p50", "p99"):
        table.add_column(name, justify="right")
    for name, ordered in zip(_STAGES, parts, strict=True):
        table.add_row(name, f"{quantile(ordered, 50):,}", f"{quantile(ordered, 99):,}")
    console.print(table)


def show_statements(console: Console, statements: Sequence[Statement]) -> None:
    """The table of statements."""
    table = Table("service", "calls", "rows", "total ms", "ms each", "statement", title="SQL by total time")
    for s in statements:
        numbers = (f"{s.calls:,}", f"{s.rows:,}", f"{s.total_ms:,.0f}", f"{s.total_ms / s.calls:.2f}")
        table.add_row(s.service.removeprefix("tocsin_"), *numbers, s.text[:90])
    console.print(table)


def show_samples(console: Console, service: str, folder: Path) -> None:
    """Two tables of a service: what ran, and on whose behalf."""
    leaves, stacks = Counter[str](), Counter[str]()
    for file in folder.glob(f"{service}-*.json"):
        found: dict[str, Any] = orjson.loads(file.read_bytes())
        leaves.update(found["leaves"])
        stacks.update({name: n for name, n in found["stacks"].items() if name.startswith(("services/", "shared/"))})
    total = leaves.total() or 1
    title = f"{service}: {total * 5:,} ms of CPU in Python's main thread"
    table = Table("it ran", "%", "it was on the stack", "%", title=title)
    for (leaf, own), (caller, below) in zip(leaves.most_common(30), stacks.most_common(30), strict=False):
        table.add_row(leaf, f"{own / total:.1%}", caller, f"{below / total:.1%}")
    console.print(table)
