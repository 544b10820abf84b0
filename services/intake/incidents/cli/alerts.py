"""`tocsin intake alerts`: what an incident consists of."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from shared.events.alerts import count_alerts
from shared.events.reference import format_reference, parse_reference
from shared.http.client import Api, ApiError
from shared.runtime.commands import refused_on
from shared.runtime.printing import print_view
from shared.runtime.terminal import json_text, plain

_PAGE = "1000"
_COLOURS = {"firing": "red", "held": "yellow", "acknowledged": "cyan", "resolved": "dim"}

Json = Mapping[str, Any]
Reference = Annotated[
    str, typer.Argument(metavar="INCIDENT", help="INC-1042, 1042, or the incident's UUID.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the API's answer, all pages as one.")]


def add_commands(group: typer.Typer, open_api: Callable[[], Api]) -> None:
    """The commands that show incidents, by intake's API."""

    @group.command("alerts")
    def show_alerts(incident: Reference, as_json: AsJson = False) -> None:
        """All alerts that an incident consists of, with their states."""
        with refused_on(ApiError, ValueError):
            reference = parse_reference(incident)
            name = format_reference(reference) if isinstance(reference, int) else reference
            pages = list(_pages(open_api(), f"/v1/incidents/{name}/alerts"))
        alerts = [alert for page in pages for alert in page["alerts"]]
        answer = {**pages[0], "alerts": alerts, "next": None}
        if as_json:
            typer.echo(json_text(answer))
        else:
            print_view(render_alerts(answer))


def _pages(api: Api, path: str) -> Iterator[dict[str, Any]]:
    query = {"limit": _PAGE}
    while True:
        page = api.get(path, query)
        yield page
        if page["next"] is None:
            return
        query["after"] = page["next"]


def render_alerts(answer: Json) -> RenderableType:
    """The alerts of the API, as a terminal shows them."""
    total, unlisted = answer["alerts_total"], answer["alerts_unlisted"]
    counted = count_alerts(total, unlisted, 0) or "1 alert"
    heading = Text.assemble((f"{answer['incident']} ", "bold"), plain(answer["summary"]))
    return Group(heading, Text(f"{answer['status']}: {counted}"), _table(answer["alerts"]))


def _table(alerts: Iterable[Json]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("state", "since", "severity", "service", "key", "summary"):
        table.add_column(column, overflow="fold")
    for alert in alerts:
        state = alert["state"]
        table.add_row(
            Text(state, style=_COLOURS.get(state, "")),
            f"{datetime.fromisoformat(alert['changed_at']):%Y-%m-%d %H:%M:%S}",
            *(plain(alert[name]) for name in ("severity", "service", "key", "summary")),
        )
    return table
