"""How incidents and verdicts look on a terminal."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from services.reporting.audit.verification import Verdict
from services.reporting.timeline.domain.words import duration

_COLOURS = {"P1": "bold red", "P2": "red", "P3": "yellow", "P4": "cyan", "P5": "dim"}


def incident_table(incidents: Iterable[dict[str, Any]]) -> RenderableType:
    """Incidents of the API's list."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("incident", "", "status", "service", "team", "owner", "age", "summary"):
        table.add_column(column, overflow="fold", no_wrap=column == "incident")
    for incident in incidents:
        priority = incident["priority"] or "-"
        table.add_row(
            f"INC-{incident['number']}",
            Text(priority, style=_COLOURS.get(priority, "")),
            incident["status"],
            *(_plain(incident[name]) for name in ("service", "team", "acknowledged_by")),
            _age(incident["opened_at"], incident["resolved_at"]),
            _plain(incident["summary"]),
        )
    return table if table.row_count else Text("no incidents", style="dim")


def story(incident: dict[str, Any]) -> RenderableType:
    """One incident of the API."""
    heading = Text.assemble((f"INC-{incident['number']} ", "bold"), _plain(incident["summary"]))
    facts = Table.grid(padding=(0, 2))
    if incident["synthetic"]:
        facts.add_row(Text("synthetic", style="dim"), Text("a canary's, not a real incident"))
    for name in (
        "status",
        "priority",
        "service",
        "team",
        "waiting_on",
        "acknowledged_by",
        "resolved_by",
        "runbook",
    ):
        if incident.get(name):
            facts.add_row(Text(name.replace("_", " "), style="dim"), _plain(incident[name]))
    facts.add_row(Text("trace", style="dim"), _plain(incident["trace_url"] or incident["trace_id"]))
    return Group(
        heading, facts, Text(), _timeline(incident["timeline"]), Text(), _pages(incident["pages"])
    )


def _timeline(entries: Sequence[dict[str, Any]]) -> Table:
    table = Table(
        title="Timeline", title_justify="left", box=None, pad_edge=False, show_header=False
    )
    for entry in entries:
        table.add_row(
            Text(f"{datetime.fromisoformat(entry['at']):%H:%M:%S}", style="dim"),
            _plain(entry["title"]),
        )
    return table


def _pages(pages: Sequence[dict[str, Any]]) -> RenderableType:
    if not pages:
        return Text("nobody was paged", style="dim")
    table = Table(
        title="Who was paged, and why",
        title_justify="left",
        box=None,
        pad_edge=False,
        show_header=False,
    )
    for page in pages:
        table.add_row(
            _plain(page["user"]), page["method"], page["outcome"], _plain("; ".join(page["why"]))
        )
    return table


def verdict_table(verdicts: Iterable[Verdict]) -> Table:
    """One line a chain: how many records hold, and its head."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("chain", "records", "head", ""):
        table.add_column(
            column, justify="right" if column == "records" else "left", overflow="fold"
        )
    for verdict in verdicts:
        result = (
            Text("broken", style="bold red") if verdict.broken else Text("holds", style="green")
        )
        table.add_row(
            f"{verdict.topic}/{verdict.partition}",
            f"{verdict.records:,}",
            verdict.head.hex()[:16],
            result,
        )
    return table


def _age(opened_at: str | None, resolved_at: str | None) -> str:
    if opened_at is None:
        return "-"
    end = datetime.fromisoformat(resolved_at) if resolved_at else datetime.now(UTC)
    return duration(end - datetime.fromisoformat(opened_at))


def _plain(text: str | None) -> Text:
    """Text of a sender's, which can neither style this terminal nor steer it."""
    return Text("".join(c if c.isprintable() else " " for c in text) if text else "-")
