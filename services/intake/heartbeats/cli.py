"""`tocsin intake heartbeats`: signs of life that are expected every so often."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Annotated, Any, TypeVar

import typer
from pydantic import BaseModel, ValidationError
from rich.table import Table

from services.intake.heartbeats.register import Register
from services.intake.signals.domain import (
    Heartbeat,
    HeartbeatName,
    HeartbeatRefused,
    HeartbeatSettings,
)
from shared.events.validation import first_problem_in, plain_reason
from shared.postgres.database import Database
from shared.runtime.commands import refused, refused_on
from shared.runtime.printing import print_view

T = TypeVar("T")

Name = Annotated[str, typer.Argument(help="The heartbeat, e.g. nightly-backup.")]
Every = Annotated[str, typer.Option(help="Longest time between two beats: 30s, 5m, 1h or 1d.")]
Grace = Annotated[str, typer.Option(help="How late a beat may be.")]
Service = Annotated[str | None, typer.Option(help="Whose incident it is when one is missed.")]
Severity = Annotated[str | None, typer.Option(help="critical, error, warning or info.")]
Summary = Annotated[str | None, typer.Option(help="Of the incident when one is missed.")]
Work = Callable[[Register], Awaitable[T]]


class _Named(BaseModel):
    name: HeartbeatName


def make_commands(open_database: Callable[[], Database]) -> typer.Typer:
    """The commands, on intake's database."""
    commands = typer.Typer(
        no_args_is_help=True, help="Heartbeats: one that is missed opens an incident."
    )

    @commands.command("create")
    def create(
        name: Name,
        every: Every,
        grace: Grace = "1m",
        service: Service = None,
        severity: Severity = None,
        summary: Summary = None,
    ) -> None:
        """Expect a heartbeat from now on, or change one: repeat the command. Beat it with
        `POST /v1/heartbeats/NAME`.
        """
        given = {"every": every, "grace": grace, "service": service, "severity": severity}
        settings = _settings(given | {"summary": summary})
        name = _name(name)
        saved = _run(open_database(), lambda register: register.save(name, settings, "operator"))
        due = saved.due_at.isoformat(timespec="seconds") if saved.due_at else "never"
        typer.echo(f"{saved.name}: the next beat is awaited until {due}")

    @commands.command("list")
    def list_all() -> None:
        """List heartbeats and their states."""
        _show(_run(open_database(), lambda register: register.list()))

    @commands.command("show")
    def show(name: Name) -> None:
        """Show one heartbeat."""
        found = _run(open_database(), lambda register: register.find(name))
        _show_one(found or _missing(name))

    _add_ends(commands, open_database)
    return commands


def _add_ends(commands: typer.Typer, open_database: Callable[[], Database]) -> None:
    @commands.command("delete")
    def delete(name: Name) -> None:
        """Expect it no more. Its incident, if it has one, clears and says why."""
        if not _run(open_database(), lambda register: register.delete(name)):
            _missing(name)
        typer.echo(f"{name}: deleted")

    @commands.command("enable")
    def enable(name: Name) -> None:
        """Expect it again, from now on."""
        _switch(open_database(), name, enabled=True)

    @commands.command("disable")
    def disable(name: Name) -> None:
        """Keep it, but expect nothing. Its incident, if it has one, clears and says why."""
        _switch(open_database(), name, enabled=False)


def _switch(database: Database, name: str, *, enabled: bool) -> None:
    async def switch(register: Register) -> Heartbeat | None:
        found = await register.find(name)
        if found is None:
            return None
        settings = found.settings.model_copy(update={"enabled": enabled})
        return await register.save(name, settings, "operator")

    _run(database, switch) or _missing(name)
    typer.echo(f"{name}: {'enabled' if enabled else 'disabled'}")


def _settings(given: dict[str, Any]) -> HeartbeatSettings:
    try:
        return HeartbeatSettings(**given)
    except ValidationError as error:
        raise _bad(error) from None


def _name(name: str) -> str:
    try:
        return _Named(name=name).name
    except ValidationError as error:
        raise _bad(error) from None


def _bad(error: ValidationError) -> typer.BadParameter:
    problem = first_problem_in(error)
    return typer.BadParameter(plain_reason(problem), param_hint=str(problem["loc"][0]))


def _missing(name: str) -> Heartbeat:
    raise refused(f"there is no heartbeat `{name}`; see `tocsin intake heartbeats list`")


def _show(heartbeats: Sequence[Heartbeat]) -> None:
    table = Table("heartbeat", "status", "every", "grace", "last beat", "due", "managed by")
    for one in heartbeats:
        every, grace = _span(one.settings.every), _span(one.settings.grace)
        moments = map(_moment, (one.last_beat_at, one.due_at))
        table.add_row(one.name, one.status, every, grace, *moments, one.managed_by)
    print_view(table)


def _show_one(heartbeat: Heartbeat) -> None:
    table = Table(show_header=False)
    settings = heartbeat.settings.model_dump(exclude_defaults=True, exclude={"every", "grace"})
    shown: dict[str, object] = {
        "heartbeat": heartbeat.name,
        "status": heartbeat.status,
        "every": _span(heartbeat.settings.every),
        "grace": _span(heartbeat.settings.grace),
        "last beat": _moment(heartbeat.last_beat_at),
        "due": _moment(heartbeat.due_at),
        "missed since": _moment(heartbeat.missed_at),
        "managed by": heartbeat.managed_by,
    }
    for name, value in (shown | settings).items():
        table.add_row(name, str(value))
    print_view(table)


def _span(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _moment(moment: Any) -> str:
    return moment.isoformat(timespec="seconds") if moment else "-"


def _run(database: Database, work: Work[T]) -> T:
    """Do `work`, and close the database."""

    async def run() -> T:
        try:
            return await work(Register(database, database.clock))
        finally:
            await database.close()

    with refused_on(HeartbeatRefused):
        return asyncio.run(run())
