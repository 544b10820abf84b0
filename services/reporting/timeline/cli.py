"""`tocsin incidents list` and `tocsin incidents show`."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from services.reporting.timeline.domain.durations import format_duration
from services.reporting.timeline.domain.filters import StatusFilter
from shared.events.alerts import count_alerts
from shared.events.reference import parse_reference
from shared.http.client import Api, ApiError
from shared.runtime.commands import refused_on
from shared.runtime.printing import print_view
from shared.runtime.terminal import json_text, plain

_COLOURS = {"P1": "bold red", "P2": "red", "P3": "yellow", "P4": "cyan", "P5": "dim"}
_FACTS = (
    "status",
    "priority",
    "service",
    "team",
    "waiting_on",
    "acknowledged_by",
    "acknowledged_at_source_by",
    "resolved_by",
    "runbook",
)

Json = Mapping[str, Any]
Reference = Annotated[
    str, typer.Argument(metavar="INCIDENT", help="INC-1042, 1042, or the incident's UUID.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the API's answer as it is.")]
Status = Annotated[StatusFilter, typer.Option(help="`open` is every status but `resolved`.")]
Team = Annotated[str | None, typer.Option(help="Only this team's.")]
Limit = Annotated[int, typer.Option(min=1, max=200)]
Synthetic = Annotated[bool, typer.Option("--synthetic", help="A canary's, in place of real ones.")]


def make_commands(open_api: Callable[[], Api]) -> typer.Typer:
    """The commands that show incidents, by reporting's API."""
    commands = typer.Typer(no_args_is_help=True, help="Incidents: show them and act on them.")

    @commands.command("list")
    def list_incidents(
        status: Status = StatusFilter.OPEN,
        team: Team = None,
        limit: Limit = 50,
        synthetic: Synthetic = False,
        as_json: AsJson = False,
    ) -> None:
        """The newest incidents."""
        query = {"status": status.value, "limit": str(limit)}
        if team:
            query["team"] = team
        if synthetic:
            query["synthetic"] = "true"
        with refused_on(ApiError):
            answer = open_api().get("/v1/incidents", query)
        _show(answer, _incidents(answer["incidents"]), as_json)

    @commands.command("show")
    def show_incident(incident: Reference, as_json: AsJson = False) -> None:
        """One incident: its state and priority, its timeline, who was paged and why."""
        with refused_on(ApiError, ValueError):
            parse_reference(incident)
            answer = open_api().get(f"/v1/incidents/{incident.strip()}")
        _show(answer, render_incident(answer), as_json)

    return commands


def _show(answer: dict[str, Any], view: RenderableType, as_json: bool) -> None:
    if as_json:
        typer.echo(json_text(answer))
    else:
        print_view(view)


def _incidents(incidents: Iterable[Json]) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("incident", "", "status", "service", "team", "owner", "age", "summary"):
        table.add_column(column, overflow="fold", no_wrap=column == "incident")
    for incident in incidents:
        priority = incident["priority"] or "-"
        table.add_row(
            f"INC-{incident['number']}",
            Text(priority, style=_COLOURS.get(priority, "")),
            incident["status"],
            *(plain(incident[name]) for name in ("service", "team", "acknowledged_by")),
            _age(incident["opened_at"], incident["resolved_at"]),
            plain(incident["summary"]),
        )
    return table if table.row_count else Text("no incidents", style="dim")


def render_incident(incident: Json) -> RenderableType:
    """One incident of the API, as a terminal shows it."""
    heading = Text.assemble((f"INC-{incident['number']} ", "bold"), plain(incident["summary"]))
    return Group(
        heading,
        _facts(incident),
        *_alerts(incident),
        Text(),
        _timeline(incident["timeline"]),
        Text(),
        _pages(incident["pages"]),
    )


def _facts(incident: Json) -> Table:
    facts = Table.grid(padding=(0, 2))

    def add(label: str, text: Text) -> None:
        facts.add_row(Text(label, style="dim"), text)

    if incident["synthetic"]:
        add("synthetic", Text("a canary's, not a real incident"))
    for name in _FACTS:
        if incident.get(name):
            add(name.replace("_", " "), plain(incident[name]))
        if name == "priority":
            for reason in incident.get("priority_reasons", ()):
                add("", plain(reason))
    add("trace", plain(incident["trace_url"] or incident["trace_id"]))
    return facts


def _alerts(incident: Json) -> Iterator[RenderableType]:
    """The first few alerts, where there is more than one; an older reporting says nothing of
    them.
    """
    shown = incident.get("alerts", ())
    total, unlisted = incident.get("alerts_total", 1), incident.get("alerts_unlisted", 0)
    if counted := count_alerts(total, unlisted, len(shown)):
        table = Table.grid(padding=(0, 2))
        for alert in shown:
            table.add_row(alert["status"], plain(alert["summary"]))
        yield from (Text(), Text(counted), table)
    if incident.get("flapping"):
        yield Text("It began often lately: it stays open until it is calm.")


def _timeline(entries: Sequence[Json]) -> Table:
    table = _plain_table("Timeline")
    for entry in entries:
        at = Text(f"{datetime.fromisoformat(entry['at']):%H:%M:%S}", style="dim")
        table.add_row(at, plain(entry["title"]))
        for line in _explanations(entry["detail"]):
            table.add_row("", Text.assemble("  ", plain(line), style="dim"))
    return table


def _explanations(detail: Json) -> Iterator[str]:
    """Why an entry says what it says: the reasons of a decision that changed, skipped targets."""
    if "changed" in detail:
        yield from detail.get("reasons", ())
    yield from (f"skipped: {target}" for target in detail.get("skipped", ()))


def _pages(pages: Sequence[Json]) -> RenderableType:
    if not pages:
        return Text("nobody was paged", style="dim")
    table = _plain_table("Who was paged, and why")
    for page in pages:
        why = plain("; ".join(page["why"]))
        table.add_row(plain(page["user"]), plain(page["method"]), page["outcome"], why)
    return table


def _plain_table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=None, pad_edge=False, show_header=False)


def _age(opened_at: str | None, resolved_at: str | None) -> str:
    if opened_at is None:
        return "-"
    end = datetime.fromisoformat(resolved_at) if resolved_at else datetime.now(UTC)
    return format_duration(end - datetime.fromisoformat(opened_at))
