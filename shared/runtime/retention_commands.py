"""`tocsin retention show`: what the policy keeps, and what the next run would delete."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from shared.policy.retention import RetentionPlan, Texts, make_plan
from shared.postgres.aged_rows import count_aged
from shared.postgres.aging import Aging, load_schedule
from shared.postgres.database import Database
from shared.postgres.saved_policies import load_saved_policies
from shared.runtime.clock import system_clock
from shared.runtime.discovery import RETENTION, installed
from shared.runtime.printing import print_view
from shared.runtime.settings import Settings, load_settings

app = typer.Typer(no_args_is_help=True, help="How long rows are kept.")


@dataclass(frozen=True, slots=True)
class _Kind:
    service: str
    aging: Aging
    kept: timedelta
    older_than: datetime
    rows: int
    due_at: datetime


@app.callback()
def retention() -> None:
    """How long rows are kept."""


@app.command()
def show(
    directory: Annotated[
        Path | None,
        typer.Argument(
            exists=True,
            file_okay=False,
            help="A folder of policy files, to see what they would do. Default: those in force.",
        ),
    ] = None,
) -> None:
    """What each service keeps for how long, and how many rows its next run would delete. Deletes
    nothing.
    """
    print_view(_table(asyncio.run(_kinds(load_settings(), directory))))


async def _kinds(settings: Settings, directory: Path | None) -> list[_Kind]:
    found = []
    for entry in installed(RETENTION):
        database = Database(settings.dsn(entry.name), application="tocsin retention")
        try:
            found += [kind async for kind in _kinds_of(entry, database, directory)]
        finally:
            await database.close()
    return found


async def _kinds_of(
    entry: EntryPoint, database: Database, directory: Path | None
) -> AsyncIterator[_Kind]:
    agings: Sequence[Aging] = import_module(f"{entry.value}.store").AGING
    now = system_clock()
    async with database.snapshot() as connection:
        saved = await load_saved_policies(connection)
        plan = _plan(entry, _read(directory, saved) if directory else saved)
        schedule = await load_schedule(connection)
        for aging in agings:
            kept = plan.periods[aging.kind]
            older_than = now - kept
            rows = await count_aged(connection, aging, older_than)
            yield _Kind(entry.name, aging, kept, older_than, rows, schedule.due_at)


def _plan(entry: EntryPoint, texts: Texts) -> RetentionPlan:
    return make_plan(texts, import_module(f"{entry.value}.policy").periods)


def _read(directory: Path, names: Texts) -> Texts:
    paths = {name: directory / name for name in names}
    return {name: path.read_bytes() if path.exists() else b"" for name, path in paths.items()}


def _table(kinds: Sequence[_Kind]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("service", "kind", "tables", "kept", "would go", "next run"):
        table.add_column(column, justify="right" if column == "would go" else "left")
    for kind in kinds:
        table.add_row(
            kind.service,
            kind.aging.kind,
            ", ".join(kind.aging.tables),
            f"{kind.kept / timedelta(days=1):g} days",
            f"{kind.rows:,}",
            f"{kind.due_at:%Y-%m-%d %H:%M} UTC",
        )
    return table
