"""`tocsin intake integrations`: who may send signals."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from typing import Annotated, Any, TypeVar

import typer
from pydantic import ValidationError
from rich.table import Table

from services.intake.integrations import store
from services.intake.integrations.domain import Integration, Settings, StoredKey, check_name
from services.intake.integrations.domain.key import public_part
from shared.events.facts import first_problem
from shared.postgres.connection import Connection
from shared.postgres.database import Database
from shared.runtime.commands import refused
from shared.runtime.printing import print_view

T = TypeVar("T")
_SPAN = re.compile(r"(\d{1,5})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def _span(text: str | timedelta) -> timedelta:
    if isinstance(text, timedelta):  # a default
        return text
    match = _SPAN.fullmatch(text)
    if match is None:
        raise typer.BadParameter("write a number with its unit: 30m, 12h or 7d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise typer.BadParameter("write a label as NAME=VALUE")
    return name, value


Name = Annotated[str, typer.Argument(help="The integration, e.g. alertmanager-eu.")]
Days = Annotated[
    int | None, typer.Option(min=1, max=3650, help="Days until the key expires; default: never.")
]
Grace = Annotated[
    timedelta,
    typer.Option(
        parser=_span,
        metavar="SPAN",
        help="How long the key before goes on working.",
        show_default="7d",
    ),
]
Which = Annotated[str, typer.Argument(help="A key as `list` shows it, or an integration: all its.")]
Gateway = Annotated[
    str | None, typer.Option(help="The only gateway that it may use; default: any.")
]
Team = Annotated[
    str | None, typer.Option(help="Owns incidents whose service is not in the catalogue.")
]
Labels = Annotated[
    list[Any] | None,
    typer.Option("--label", parser=_label, metavar="NAME=VALUE", help="Added to its signals."),
]
Environment = Annotated[str | None, typer.Option(help="Of signals that do not give theirs.")]
SendsResolved = Annotated[
    bool, typer.Option("--resolved/--no-resolved", help="Whether it says when an alert has ended.")
]
ExpireAfter = Annotated[
    timedelta | None,
    typer.Option(parser=_span, metavar="SPAN", help="Its alerts end after so long a silence."),
]
Rate = Annotated[float | None, typer.Option(help="Signals a second; default: as they come.")]
Burst = Annotated[int | None, typer.Option(help="Signals at once, above the rate.")]


def make_commands(
    open_database: Callable[[], Database], gateways: Callable[[], Collection[str]]
) -> typer.Typer:
    """The commands, on intake's database. `gateways` are the names of those that are installed."""
    commands = typer.Typer(no_args_is_help=True, help="Integrations: who may send signals.")
    _add_create(commands, open_database, gateways)

    @commands.command("list")
    def list_all() -> None:
        """List integrations, with how each of their keys begins."""
        _list(open_database())

    @commands.command("show")
    def show(name: Name) -> None:
        """Show the settings and keys of an integration."""
        _show(open_database(), name)

    @commands.command("rotate")
    def rotate(name: Name, days: Days = None, grace: Grace = timedelta(days=7)) -> None:
        """Make another key and print it. The one before works until the grace is over."""
        _rotate(open_database(), name, _lifetime(days), grace)

    @commands.command("revoke")
    def revoke(which: Which) -> None:
        """Revoke a key, or all of an integration. Running services may honour it for 30 seconds
        more.
        """
        _revoke(open_database(), which)

    return commands


def _add_create(
    commands: typer.Typer,
    open_database: Callable[[], Database],
    gateways: Callable[[], Collection[str]],
) -> None:
    @commands.command("create")
    def create(
        name: Name,
        gateway: Gateway = None,
        team: Team = None,
        labels: Labels = None,
        environment: Environment = None,
        sends_resolved: SendsResolved = True,
        expire_after: ExpireAfter = None,
        rate: Rate = None,
        burst: Burst = None,
        days: Days = None,
    ) -> None:
        """Make an integration with a key, and print the key. It is shown this once; only a hash of
        it is kept.
        """
        if gateway is not None and gateway not in (known := gateways()):
            hint = f"use one of {', '.join(sorted(known))}"
            raise typer.BadParameter(f"there is no gateway `{gateway}`; {hint}")
        given = {
            "gateway": gateway,
            "team": team,
            "labels": dict(labels or ()),
            "environment": environment,
            "sends_resolved": sends_resolved,
            "expire_after": expire_after,
            "rate": rate,
            "burst": burst,
        }
        settings = _settings({name: value for name, value in given.items() if value is not None})
        _create(open_database(), name, settings, _lifetime(days))


def _lifetime(days: int | None) -> timedelta | None:
    return timedelta(days=days) if days else None


def _settings(given: dict[str, Any]) -> Settings:
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        raise typer.BadParameter(str(first_problem(error, "settings"))) from None


def _create(database: Database, name: str, settings: Settings, lifetime: timedelta | None) -> None:
    async def work(connection: Connection) -> str | None:
        if not await store.create_integration(connection, name, settings, database.clock()):
            return None
        return await store.create_key(connection, name, lifetime, database.clock())

    try:
        check_name(name)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="NAME") from None
    key = _run(database, work)
    if key is None:
        raise refused(
            f"there is an integration `{name}`; `tocsin intake integrations rotate {name}` makes "
            "another key, and integrations.yaml changes its settings"
        )
    typer.echo(key)


def _list(database: Database) -> None:
    table = Table("integration", "gateway", "team", "key", "expires", "settings from")
    for integration, from_file, keys in _run(database, store.list_integrations):
        about = (integration.name, integration.gateway or "any", integration.team or "")
        source = "integrations.yaml" if from_file else "command"
        if not keys:
            table.add_row(*about, "none", "", source)
        for key in keys:
            table.add_row(*about, f"{key.prefix}...", _end(key), source)
    print_view(table)


def _show(database: Database, name: str) -> None:
    listed = _run(database, store.list_integrations)
    found = next((one for one in listed if one[0].name == name), None)
    if found is None:
        raise _unknown(name)
    integration, from_file, keys = found
    table = Table("setting", "value", show_header=False)
    for field, value in _values(integration).items():
        table.add_row(field, value)
    table.add_row("settings from", "integrations.yaml" if from_file else "command")
    for key in keys:
        table.add_row("key", f"{key.prefix}... made {key.created_at:%Y-%m-%d}, {_end(key)}")
    print_view(table)


def _values(integration: Integration) -> dict[str, str]:
    written = {name: getattr(integration, name) for name in ("name", *Settings.model_fields)}
    written["labels"] = ", ".join(f"{name}={value}" for name, value in integration.labels.items())
    return {name: _said(value) for name, value in written.items()}


def _said(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def _rotate(database: Database, name: str, lifetime: timedelta | None, grace: timedelta) -> None:
    async def work(connection: Connection) -> tuple[list[StoredKey] | None, str]:
        now = database.clock()
        keys = await store.lock_integration(connection, name)
        live = [key for key in keys if key.lives(now)] if keys is not None else None
        if live is None or len(live) > 1:
            return live, ""
        for key in live:
            await store.end_key(connection, key.key_id, now + grace)
        return live, await store.create_key(connection, name, lifetime, now)

    live, key = _run(database, work)
    if live is None:
        raise _unknown(name)
    if not key:
        prefixes = " and ".join(f"`{one.prefix}...`" for one in live)
        raise refused(f"two keys of `{name}` live, {prefixes}: revoke one of them first")
    typer.echo(key)


def _revoke(database: Database, which: str) -> None:
    async def work(connection: Connection) -> int:
        keys = await store.lock_integration(connection, which)
        named = [key.key_id for key in keys or ()] or [public_part(which.removesuffix("..."))]
        return await store.delete_keys(connection, named)

    if not _run(database, work):
        raise refused(
            f"there is no key or integration with keys `{which}`; see `tocsin intake integrations "
            "list`"
        )


def _end(key: StoredKey) -> str:
    return f"expires {key.expires_at:%Y-%m-%d %H:%M} UTC" if key.expires_at else "never expires"


def _unknown(name: str) -> typer.Exit:
    return refused(f"there is no integration `{name}`; see `tocsin intake integrations list`")


def _run(database: Database, work: Callable[[Connection], Awaitable[T]]) -> T:
    """Do `work` in a transaction of its own, and close the database."""

    async def transaction() -> T:
        try:
            async with database.transaction() as connection:
                return await work(connection)
        finally:
            await database.close()

    return asyncio.run(transaction())
