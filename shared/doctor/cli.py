"""`tocsin doctor`."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from shared.doctor.examiner import Examiner
from shared.doctor.findings import Finding
from shared.runtime.clock import system_clock
from shared.runtime.discovery import service_packages
from shared.runtime.printing import print_view
from shared.runtime.settings import load_settings
from shared.runtime.terminal import json_text, plain

app = typer.Typer()
_STYLES = {"problem": "bold red", "warning": "yellow", "good": "green"}


@app.command()
def doctor(
    service: Annotated[
        list[str] | None,
        typer.Option(
            help="A service to examine; may be repeated. Default: all that are installed."
        ),
    ] = None,
    probe: Annotated[
        list[str] | None,
        typer.Option(help="Address of a replica's /readyz to ask; may be repeated."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    seconds: Annotated[
        float, typer.Option(min=0.5, max=120, help="How long to wait for each answer.")
    ] = 8,
) -> None:
    """Examine a deployment and say what to do: databases, schemas, replicas and their policies,
    clocks, leaders, backlogs, Kafka's topics, lag, certificates. Changes nothing. Exit 1 when there
    is a problem; warnings alone are exit 0.
    """
    known = list(service_packages())
    wanted = service or known
    if unknown := sorted(set(wanted) - set(known)):
        raise typer.BadParameter(f"{unknown[0]} is not one of {', '.join(known)}")
    examiner = Examiner(load_settings(), wanted, probe or [], system_clock, seconds)
    found = asyncio.run(examiner.examine())
    if as_json:
        typer.echo(json_text({"findings": [asdict(finding) for finding in found]}))
    else:
        print_view(_table(found))
    if any(finding.severity == "problem" for finding in found):
        raise typer.Exit(1)


def _table(found: Sequence[Finding]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("", "about", "found", "what to do"):
        table.add_column(name, overflow="fold")
    for finding in sorted(found, key=lambda finding: list(_STYLES).index(finding.severity)):
        cells = [plain(finding.about), plain(finding.text), plain(finding.fix)]
        table.add_row(plain(finding.severity), *cells, style=_STYLES[finding.severity])
    return table
