"""The plans with which a service's statements really run, as Postgres reports them (auto_explain),
with the rows that each node read.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any

import asyncpg
import orjson

from shared.postgres.connection import Connection
from shared.postgres.database import Database
from tests.support.stack import name_of

BIG = 10_000
"""Rows from which a table must not be scanned and a set must not be sorted."""

_SETTINGS = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_level": "notice",  # to the client, and not into the server's log
    "auto_explain.log_format": "json",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_timing": "off",
    "auto_explain.log_parameter_max_length": "0",
}


async def report_plans(admin_dsn: str, plan_cache_mode: str) -> None:
    """Make every new session of the database report its plans, in this plan cache mode. Needs a
    superuser's DSN.
    """
    connection: Connection = await asyncpg.connect(admin_dsn)
    try:
        for name, value in {**_SETTINGS, "plan_cache_mode": plan_cache_mode}.items():
            await connection.execute(f"ALTER DATABASE {name_of(admin_dsn)} SET {name} = '{value}'")
    finally:
        await connection.close()


async def list_big_tables(admin_dsn: str) -> set[tuple[str, str]]:
    """(schema, table) of tables with more than BIG rows."""
    connection: Connection = await asyncpg.connect(admin_dsn)
    try:
        rows = await connection.fetch(
            "SELECT relnamespace::regnamespace::text, relname FROM pg_class"
            " WHERE relkind = 'r' AND reltuples > $1",
            BIG,
        )
        return {(row[0], row[1]) for row in rows}
    finally:
        await connection.close()


@dataclass(frozen=True)
class Plan:
    """How one statement ran; `task` is what the test was doing."""

    task: str
    statement: str
    root: dict[str, Any]
    milliseconds: float

    def nodes(self) -> Iterator[dict[str, Any]]:
        """All nodes, from the root down."""
        waiting = [self.root]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += node.get("Plans", [])

    def scanned(self) -> set[str]:
        """Tables that were scanned sequentially, or would have been."""
        return {
            node["Relation Name"] for node in self.nodes() if node["Node Type"].endswith("Seq Scan")
        }

    def rows_read(self) -> int:
        """Rows read from tables and indexes, including those that were filtered out."""
        return sum(
            _looked_at(node)
            for node in self.nodes()
            if "Scan" in node["Node Type"] and _stored(node)
        )

    def rows_sorted(self) -> int:
        """Rows of the largest set that was sorted."""
        sorts = [node for node in self.nodes() if node["Node Type"] == "Sort"]
        return max((_looked_at(node["Plans"][0]) for node in sorts), default=0)


def _stored(node: dict[str, Any]) -> bool:
    return "Relation Name" in node or "Index Name" in node


def _looked_at(node: dict[str, Any]) -> int:
    vain = (
        "Rows Removed by Filter",
        "Rows Removed by Index Recheck",
        "Rows Removed by Join Filter",
    )
    rows: float = node["Actual Rows"] + sum(node.get(name, 0) for name in vain)
    return round(rows * int(node["Actual Loops"]))


@dataclass
class Plans:
    """The plans of any number of databases."""

    collected: list[Plan] = field(default_factory=list)
    task: str = ""

    @contextmanager
    def during(self, task: str) -> Iterator[None]:
        """Label the plans of the block with this task."""
        self.task = task
        yield

    def collect(self, _: object, message: asyncpg.PostgresLogMessage) -> None:
        """Add a server message if it is a plan."""
        head, _, document = message.as_dict()["message"].partition("plan:\n")
        if document:
            plan = orjson.loads(document)
            milliseconds = float(head.split()[1])
            self.collected.append(
                Plan(self.task, " ".join(plan["Query Text"].split()), plan["Plan"], milliseconds)
            )


class WatchedDatabase(Database):
    """A database whose plans are collected."""

    def __init__(self, dsn: str, plans: Plans) -> None:
        super().__init__(dsn)
        self._plans = plans

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A pooled connection whose plans are collected."""
        async with super().connection() as connection:
            connection.add_log_listener(self._plans.collect)
            try:
                yield connection
            finally:
                await asyncio.sleep(0)  # listeners are called by the loop, not by the connection
                connection.remove_log_listener(self._plans.collect)


@contextmanager
def recorded_calls(wanted: Sequence[CodeType]) -> Iterator[set[CodeType]]:
    """The functions among these that are called inside the block."""
    seen: set[CodeType] = set()
    looked_for = set(wanted)

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code in looked_for:
            seen.add(frame.f_code)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield seen
    finally:
        sys.setprofile(before)
