"""Commands: `tocsin reporting serve|migrate`, `tocsin incidents list|show`, `tocsin audit verify`."""

import asyncio
import json
from typing import Annotated, Any

import aiohttp
import typer
from rich.console import Console, RenderableType
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from services.reporting import NAME
from services.reporting.audit.verification import Verdict, verify_chains
from services.reporting.timeline.terminal import incident_table, story, verdict_table
from shared.postgres.database import Database
from shared.runtime.commands import refused, service_commands
from shared.runtime.settings import Settings, load_settings

app = service_commands(
    "services.reporting", "Learn and prove: timelines, figures, the console and the audit log."
)
incidents = typer.Typer(no_args_is_help=True, help="Incidents: look at them and act on them.")
audit = typer.Typer(no_args_is_help=True, help="The audit log.")
mounts: dict[str, typer.Typer] = {"incidents": incidents, "audit": audit}

AsJson = Annotated[bool, typer.Option("--json", help="Print the API's answer as it is.")]
Status = Annotated[
    str, typer.Option(help="open, reported, triggered, acknowledged, resolved or all.")
]


@incidents.command("list")
def list_incidents(
    status: Status = "open",
    team: Annotated[str | None, typer.Option(help="Only this team's.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    synthetic: Annotated[
        bool, typer.Option("--synthetic", help="A canary's, in place of real ones.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """The newest incidents."""
    query = {"status": "" if status == "all" else status, "team": team or "", "limit": str(limit)}
    query["synthetic"] = "true" if synthetic else ""
    answer = _get("/v1/incidents", {name: value for name, value in query.items() if value})
    _show(answer, incident_table(answer["incidents"]), as_json)


@incidents.command("show")
def show_incident(
    incident: Annotated[str, typer.Argument(help="INC-1042, or the incident's UUID.")],
    as_json: AsJson = False,
) -> None:
    """One incident: its state, its timeline, who was paged and why."""
    answer = _get(f"/v1/incidents/{incident}", {})
    _show(answer, story(answer), as_json)


# A callback, so that the only command keeps its name.
@audit.callback()
def _audit() -> None:
    """The audit log."""


@audit.command("verify")
def verify() -> None:
    """Walk every chain of the audit log. Exit 1 naming the first record that was changed, removed
    or moved in each.
    """
    verdicts = asyncio.run(_verify(load_settings()))
    Console().print(verdict_table(verdicts))
    broken = [verdict for verdict in verdicts if verdict.broken]
    for verdict in broken:
        typer.secho(
            f"tocsin: {verdict.topic}/{verdict.partition}: {verdict.broken}", fg="red", err=True
        )
    if broken:
        raise typer.Exit(1)
    typer.echo(
        f"all {sum(verdict.records for verdict in verdicts):,} records in {len(verdicts)} chain(s) hold"
    )


async def _verify(settings: Settings) -> list[Verdict]:
    database = Database(settings.dsn(NAME), application="tocsin audit")
    columns = (
        SpinnerColumn(),
        TextColumn("{task.completed:,.0f} records verified"),
        TimeElapsedColumn(),
    )
    try:
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("", total=None)
            async with database.connection() as connection:
                return [
                    v
                    async for v in verify_chains(
                        connection, lambda count: progress.advance(task, count)
                    )
                ]
    finally:
        await database.close()


def _get(path: str, query: dict[str, str]) -> dict[str, Any]:
    address = load_settings().console_url.rstrip("/")
    try:
        status, answer = asyncio.run(_fetch(address + path, query))
    except (aiohttp.ClientError, TimeoutError, ValueError):
        raise refused(f"no answer from {address} (TOCSIN_CONSOLE_URL)") from None
    if status != 200:
        raise refused(answer.get("detail") or f"HTTP {status}")
    return answer


async def _fetch(url: str, query: dict[str, str]) -> tuple[int, dict[str, Any]]:
    timeout = aiohttp.ClientTimeout(total=15)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(url, params=query) as answer,
    ):
        return answer.status, await answer.json(content_type=None)


def _show(answer: dict[str, Any], view: RenderableType, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        Console().print(view)
