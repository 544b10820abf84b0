"""`tocsin canary`."""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shared.policy.files import Duration
from shared.runtime.commands import refused
from shared.runtime.logs import configure_logs

if TYPE_CHECKING:
    from deploy.canary.round import Report

app = typer.Typer(
    help="Follow a synthetic incident from its signal to its resolution, on a schedule."
)
_DURATION: TypeAdapter[timedelta] = TypeAdapter(Duration)


def _duration(text: str) -> timedelta:
    try:
        span = _DURATION.validate_python(text)
    except ValidationError:
        raise typer.BadParameter("expected a number with a unit, such as 30s, 5m or 1h") from None
    if not timedelta(seconds=1) <= span <= timedelta(days=1):
        raise typer.BadParameter("must be between 1s and 1d")
    return span


def _span(about: str, default: str) -> Any:
    return typer.Option(parser=_duration, metavar="SPAN", help=about, show_default=default)


@app.callback(invoke_without_command=True)
def canary(
    every: Annotated[
        timedelta, _span("Interval between the starts of two rounds.", "1m")
    ] = timedelta(minutes=1),
    patience: Annotated[
        timedelta, _span("Time limit of each stage of a round.", "30s")
    ] = timedelta(seconds=30),
    once: Annotated[
        bool, typer.Option("--once", help="Run one round now; exit 1 when it fails.")
    ] = False,
) -> None:
    """Run rounds until stopped, or one. The first of many begins after ten seconds."""
    from deploy.canary.app import (  # deferred: every `tocsin` command loads this module
        run_every,
        run_once,
    )
    from deploy.canary.settings import CanarySettings
    from shared.runtime.settings import read_settings

    settings = read_settings(CanarySettings)
    configure_logs("canary", "CRITICAL" if once else settings.log_level)
    try:
        if not once:
            asyncio.run(run_every(settings, every.total_seconds(), patience.total_seconds()))
            return
        report = asyncio.run(run_once(settings, patience.total_seconds()))
    except OSError as error:
        raise refused(f"{error.strerror}; is another canary running?") from None
    Console().print(_table(report))
    if report.reason:
        raise refused(report.reason)


def _table(report: "Report") -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    passed = not report.reason
    table.add_row(
        "result", Text(report.result.replace("_", " "), style="green" if passed else "red")
    )
    table.add_row("incident", report.incident or "-")
    for stage, seconds in report.stages.items():
        table.add_row(stage, f"{seconds * 1000:,.0f} ms")
    table.add_row("whole round", f"{report.seconds * 1000:,.0f} ms")
    table.add_row("trace", report.trace.trace_id)
    return table
