"""`tocsin demo`: play an outage on a running Tocsin, print its timeline, check the expectations."""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from itertools import zip_longest
from typing import Any

import aiohttp
from rich.console import Console
from rich.text import Text

from deploy.local.demo_checks import Check, judge, reasons
from deploy.local.demo_outage import FAILURES, REPEATS, Evidence, Outage, Script
from services.reporting.timeline.cli import render_incident

_POLL_SECONDS = 0.1


class StepFailed(Exception):
    """A step was not completed."""

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(step, reason)
        self.step, self.reason = step, reason


REMOTE = (
    *("TOCSIN_INTAKE_URL", "TOCSIN_CONSOLE_URL", "TOCSIN_INBOX_URL"),
    *("TOCSIN_INTEGRATION_KEY", "TOCSIN_POSTGRES"),
)
"""Variables by which it finds a Tocsin. Its policies must be those of the local stack, its pages
go to an inbox, and TOCSIN_POSTGRES is reporting's database, for the audit log.
"""


def run_demo(console: Console, variables: Mapping[str, str], patience_seconds: float) -> bool:
    """Play the outage on the Tocsin that the variables describe. Returns whether every expectation
    holds; prints those that do not.
    """
    checks = asyncio.run(_play(console, variables, patience_seconds))
    failed = [check for check in checks if not check.holds]
    for check in failed:
        console.print(Text(f"✗ {check.name}: {check.found}", style="red"), soft_wrap=True)
    if not failed:
        console.print(f"[bold green]✓ All {len(checks)} expectations hold.[/]", highlight=False)
    return not failed


async def _play(console: Console, variables: Mapping[str, str], patience: float) -> list[Check]:
    began = time.monotonic()

    async def wait(step: str, check: Callable[[], Awaitable[Any]]) -> Any:
        with console.status(step):
            found = await _poll(step, check, patience)
        if not found:
            raise StepFailed(step, f"not within {patience:g} s")
        console.print(
            Text.assemble((f"{time.monotonic() - began:5.1f} s  ", "dim"), step), soft_wrap=True
        )
        return found

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=patience)) as http:
        outage = Outage(http, variables, Script())
        try:
            await outage.play(wait)
            checks = await _settle(outage, patience)
        except StepFailed as failure:
            checks = [Check(failure.step, False, failure.reason)]
            with suppress(*FAILURES):
                await outage.gather()
    checks.append(await _audit(variables))
    if outage.evidence.incident:
        _print_report(console, outage.evidence, checks[-1], variables)
    return checks


async def _settle(outage: Outage, patience: float) -> list[Check]:
    """The checks once reporting has caught up: the facts about an incident arrive by several topics
    and in no common order.
    """

    async def all_hold() -> bool:
        await outage.gather()
        return all(check.holds for check in judge(outage.evidence, outage.script))

    await _poll("reporting shows all of it", all_hold, patience)
    return judge(outage.evidence, outage.script)


async def _poll(step: str, check: Callable[[], Awaitable[Any]], seconds: float) -> Any:
    """The first truthy result of `check`, or its last when time is up. Raises StepFailed."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = await check()
        except FAILURES as error:
            raise StepFailed(step, str(error) or "no response in time") from None
        if found or time.monotonic() > deadline:
            return found
        await asyncio.sleep(_POLL_SECONDS)


async def _audit(variables: Mapping[str, str]) -> Check:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "shared.runtime.cli", "audit", "verify"),
        env={**os.environ, **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    last = output.decode(errors="replace").strip().rpartition("\n")[2].removeprefix("tocsin: ")
    return Check("the audit log verifies", process.returncode == 0, last)


def _print_report(
    console: Console, evidence: Evidence, audit: Check, variables: Mapping[str, str]
) -> None:
    incident, figures = evidence.incident, evidence.figures
    console.rule("the incident's timeline")
    console.print(render_incident(incident))
    console.print()
    signals = incident["signal_count"]
    lines = [
        *zip_longest(
            [f"why {incident['priority']}" if incident["priority"] else ""],
            reasons(incident),
            fillvalue="",
        ),
        (
            "signals",
            f"{signals}: the alert and {REPEATS} repeats"
            if signals == REPEATS + 1
            else str(signals),
        ),
        ("acknowledged", f"after {_seconds(incident['time_to_acknowledge_seconds'])}"),
        ("resolved", f"after {_seconds(incident['time_to_resolve_seconds'])}"),
        ("MTTA in 30 days", _seconds(figures.get("mtta_seconds"))),
        ("MTTR in 30 days", _seconds(figures.get("mttr_seconds"))),
        ("audit", str(audit.found)),
        ("the pages", variables["TOCSIN_INBOX_URL"]),
        ("more", f"{variables['TOCSIN_CONSOLE_URL']}/incidents/{incident['incident_id']}"),
        ("", f".venv/bin/tocsin incidents show INC-{incident['number']}"),
    ]
    for name, value in lines:
        console.print(Text.assemble((f"{name:16}", "dim"), value), soft_wrap=True)
    console.print()


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
