"""`tocsin audit verify`."""

import asyncio
from collections.abc import Callable, Iterable

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from services.reporting.audit.domain import Verdict
from services.reporting.audit.verifier import Verifier
from shared.postgres.database import Database
from shared.runtime.printing import print_view

_PROGRESS = (
    SpinnerColumn(),
    TextColumn("{task.completed:,.0f} records verified"),
    TimeElapsedColumn(),
)


def make_commands(open_database: Callable[[], Database]) -> typer.Typer:
    """The commands of the audit log, on reporting's database."""
    commands = typer.Typer(no_args_is_help=True, help="The audit log.")

    # A callback, so that the only command keeps its name.
    @commands.callback()
    def _audit() -> None:
        """The audit log."""

    @commands.command("verify")
    def verify() -> None:
        """Verify every chain of the audit log. Exit 1, naming for each broken chain the first
        record that was changed, removed or moved.
        """
        _report(asyncio.run(_verify(open_database())))

    return commands


async def _verify(database: Database) -> list[Verdict]:
    try:
        with Progress(*_PROGRESS, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("", total=None)
            async with database.connection() as connection:
                verifier = Verifier(connection, lambda count: progress.advance(task, count))
                return [verdict async for verdict in verifier.verify()]
    finally:
        await database.close()


def _report(verdicts: list[Verdict]) -> None:
    print_view(_table(verdicts))
    broken = [verdict for verdict in verdicts if verdict.broken]
    for verdict in broken:
        reason = f"tocsin: {verdict.topic}/{verdict.partition}: {verdict.broken}"
        typer.secho(reason, fg="red", err=True)
    if broken:
        raise typer.Exit(1)
    records = sum(verdict.records for verdict in verdicts)
    typer.echo(f"all {records:,} records in {len(verdicts)} chain(s) hold")


def _table(verdicts: Iterable[Verdict]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("chain", overflow="fold")
    table.add_column("records", justify="right")
    table.add_column("head", overflow="fold")
    table.add_column()
    for verdict in verdicts:
        table.add_row(
            f"{verdict.topic}/{verdict.partition}",
            f"{verdict.records:,}",
            verdict.head.hex()[:16],
            Text("broken", style="bold red") if verdict.broken else Text("holds", style="green"),
        )
    return table
