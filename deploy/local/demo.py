"""`tocsin demo`: plays an outage on the running stack, tells its story, and judges whether all is as it should be."""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp
from rich.console import Console
from rich.text import Text

from deploy.local.demo_checks import Check, judge, reasons
from deploy.local.demo_outage import Json, Missing, Outage, Script, poll
from deploy.local.environment import build
from deploy.local.state import Secrets, State
from services.reporting.terminal import story

_REQUEST_SECONDS = 15.0


def perform(console: Console, patience_seconds: float) -> bool:
    """Play the outage on the stack that is up. Says whether every expectation holds; those that do not are named."""
    variables = build(State.load(), Secrets.load()).variables
    checks = asyncio.run(_perform(console, variables, patience_seconds))
    broken = [check for check in checks if not check.holds]
    for check in broken:
        console.print(Text(f"✗ {check.name}: found {check.found}", style="red"))
    if not broken:
        console.print(f"[bold green]✓ All is as it should be[/]: {len(checks)} expectations hold.", highlight=False)
    return not broken


async def _perform(console: Console, variables: Mapping[str, str], patience: float) -> list[Check]:
    script, began = Script(), time.monotonic()

    async def wait(step: str, check: Callable[[], Awaitable[Any]]) -> Any:
        with console.status(step):
            try:
                found = await poll(check, patience)
            except Missing as missing:
                raise Missing(f"{step}: {missing}") from None
        if not found:
            raise Missing(f"{step}: not within {patience:g} s")
        console.print(Text.assemble((f"{time.monotonic() - began:5.1f} s  ", "dim"), step))
        return found

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_REQUEST_SECONDS)) as http:
        outage = Outage(http, variables, script)
        try:
            await outage.play(wait)
            checks = await _settle(outage, patience)
            figures = await outage.figures()
        except Missing as missing:
            checks, figures = [Check("the story goes on to its end", False, missing)], {}
    checks.append(await _audit(variables))
    if outage.evidence.story:
        _tell(console, outage.evidence.story, figures, checks[-1], variables)
    return checks


async def _settle(outage: Outage, patience: float) -> list[Check]:
    """What is found once all has been told: services tell reporting of one incident by topics of their own."""

    async def all_hold() -> bool:
        await outage.gather()
        return all(check.holds for check in judge(outage.evidence, outage.script))

    await poll(all_hold, patience)
    return judge(outage.evidence, outage.script)


async def _audit(variables: Mapping[str, str]) -> Check:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "shared.cli", "audit", "verify"),
        env={**os.environ, **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    last = output.decode(errors="replace").strip().rpartition("\n")[2]
    return Check("the audit log holds", process.returncode == 0, last)


def _tell(console: Console, incident: Json, figures: Json, audit: Check, variables: Mapping[str, str]) -> None:
    console.rule("the incident's story")
    console.print(story(incident))
    console.print()
    lines = [
        ("why " + str(incident["priority"]), "; ".join(reasons(incident))),
        ("signals", f"{incident['signal_count']}, the resolution included"),
        ("acknowledged", f"after {_seconds(incident['time_to_acknowledge_seconds'])}"),
        ("resolved", f"after {_seconds(incident['time_to_resolve_seconds'])}"),
        (
            "all incidents",
            f"MTTA {_seconds(figures.get('mtta_seconds'))}, MTTR {_seconds(figures.get('mttr_seconds'))}",
        ),
        ("audit", str(audit.found)),
        ("look further", f"{variables['TOCSIN_CONSOLE_URL']}/incidents/{incident['incident_id']}"),
        ("", f"tocsin incidents show INC-{incident['number']}"),
        ("the pages", variables["TOCSIN_INBOX_URL"]),
    ]
    for name, value in lines:
        console.print(Text.assemble((f"{name:14}", "dim"), value), soft_wrap=True)
    console.print()


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
