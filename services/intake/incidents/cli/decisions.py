"""`tocsin intake explain|try|reclassify`: the decisions about signals, on intake's database."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import orjson
import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from services.intake.incidents.domain.payload import Payload
from services.intake.incidents.domain.reclassification import OtherKind, Reclassify
from shared.events.cloudevents import Malformed
from shared.postgres.database import Database
from shared.runtime.commands import refused, refused_on
from shared.runtime.printing import print_view
from shared.runtime.terminal import json_text, plain

if TYPE_CHECKING:  # it needs the modules of a server, and most commands do not
    from services.intake.incidents.decisions import Decisions

T = TypeVar("T")

OpenDecisions = Callable[[], "tuple[Database, Decisions]"]

AsJson = Annotated[bool, typer.Option("--json", help="Print everything that is known, as JSON.")]
Name = Annotated[
    str, typer.Argument(metavar="SIGNAL|INCIDENT", help="A signal's id, INC-1042 or a UUID.")
]
File = Annotated[Path, typer.Argument(help="What a sender would send; `-` reads standard input.")]
GatewayName = Annotated[str, typer.Option(help="Whose format it has, e.g. alertmanager.")]
CallPath = Annotated[str | None, typer.Option(help="Which call, where a gateway has several.")]
Sender = Annotated[str, typer.Option(help="The integration that would send it.")]
ContentType = Annotated[str | None, typer.Option(help="Default: the first that the call takes.")]
Incident = Annotated[str, typer.Argument(metavar="INCIDENT", help="INC-1042, 1042, or the UUID.")]
Kind = Annotated[OtherKind, typer.Argument(help="What it is.")]
By = Annotated[
    str,
    typer.Option(help="Who says so, as shown in the timeline.", default_factory=getpass.getuser),
]
Note = Annotated[str | None, typer.Option(help="Why.")]
_SHOWN = (
    "severity",
    "severity_reason",
    "service",
    "component",
    "environment",
    "category",
    "kind",
    "kind_by",
)


def add_commands(app: typer.Typer, open_decisions: OpenDecisions) -> None:
    """Add the commands; they work on the database, so the service need not run."""

    @app.command("explain")
    def explain(name: Name, as_json: AsJson = False) -> None:
        """Why a signal or an incident became what it is: how it was read, what was taken out, what
        it was grouped by, and under which policy.
        """
        found = _run(open_decisions, lambda decisions: decisions.explain(name))
        if found is None:
            raise refused(f"there is no signal or incident {name}")
        _show(found, as_json)

    @app.command("try")
    def try_out(
        file: File,
        gateway: GatewayName = "cloudevents",
        path: CallPath = None,
        integration: Sender = "try",
        content_type: ContentType = None,
        as_json: AsJson = False,
    ) -> None:
        """What a payload would do now, by the code that does it; nothing is kept."""
        payload = Payload(_body(file), gateway, path, content_type, integration)
        with refused_on(_problem(), Malformed):
            found = _run(open_decisions, lambda decisions: decisions.try_out(payload))
        _show(found, as_json)

    @app.command("reclassify")
    def reclassify(incident: Incident, kind: Kind, by: By, note: Note = None) -> None:
        """Say that an incident is a request, a change or a patch: nobody is paged for it any
        more.
        """
        order = Reclassify(kind, by, note)
        done = _run(open_decisions, lambda decisions: decisions.reclassify(incident, order))
        if done is None:
            raise refused(f"there is no incident {incident}")
        typer.echo(f"{done['incident']}: {done['said']}")


def _run(open_decisions: OpenDecisions, work: "Callable[[Decisions], Awaitable[T]]") -> T:
    async def run() -> T:
        database, decisions = open_decisions()
        try:
            return await work(decisions)
        finally:
            await database.close()

    return asyncio.run(run())


def _body(file: Path) -> bytes:
    if str(file) == "-":
        return typer.get_binary_stream("stdin").read()
    with refused_on(OSError):
        return file.read_bytes()


def _problem() -> type[Exception]:
    from shared.http.problems import Problem

    return Problem


def _show(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json_text(orjson.loads(orjson.dumps(found, default=str))))
        return
    parts: list[RenderableType] = []
    if incident := found.get("incident"):
        parts.append(_table(_incident(incident)))
    parts += [_table(_signal(signal)) for signal in found["signals"]]
    print_view(Group(*parts))


def _table(rows: list[tuple[str, Any]]) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, value in rows:
        if value:
            table.add_row(Text(name, style="bold"), plain(str(value)))
    table.add_row("", "")
    return table


def _incident(incident: dict[str, Any]) -> list[tuple[str, Any]]:
    title = f"{incident['incident']} ({incident['status']}): {incident['summary']}"
    return [("incident", title), *((name, incident[name]) for name in _SHOWN)]


def _signal(signal: dict[str, Any]) -> list[tuple[str, Any]]:
    why = signal["explanation"] or {}
    redacted = [f"{rule} in {field} x{times}" for field, rule, times in why.get("redacted", ())]
    rows = [
        ("signal", f"{signal['signal_id']} of {signal['origin']}"),
        ("received", signal.get("received_at")),
        ("decision", signal["decision"]),
        ("grouped", why.get("grouped")),
        ("normalised", "; ".join(why.get("normalised", ()))),
        ("redacted", "; ".join(redacted)),
        ("classified", why.get("classified") or f"{why.get('kind', '?')}, by its format"),
        ("policy", why.get("policy")),
        ("trace", why.get("trace")),
    ]
    incident = signal.get("incident")
    return rows + (_incident(incident) if incident else [])
