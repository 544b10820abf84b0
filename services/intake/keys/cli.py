"""`tocsin intake keys`: who may send signals."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, TypeVar

import typer
from rich.table import Table

from services.intake.keys import store
from services.intake.keys.domain import StoredKey
from shared.postgres.connection import Connection
from shared.postgres.database import Database
from shared.runtime.commands import refused
from shared.runtime.printing import print_view

T = TypeVar("T")

Name = Annotated[
    str,
    typer.Argument(help="The integration, e.g. alertmanager. Two keys of one name are a rotation."),
]
Days = Annotated[int | None, typer.Option(min=1, help="Days until it expires; default: never.")]
KeyId = Annotated[str, typer.Argument(help="The public part, as `list` shows it.")]


def make_commands(open_database: Callable[[], Database]) -> typer.Typer:
    """The commands, on intake's database."""
    commands = typer.Typer(no_args_is_help=True, help="Integration keys: who may send signals.")

    @commands.command("create")
    def create(name: Name, days: Days = None) -> None:
        """Make a key and print it. It is shown this once; only a hash of it is kept."""
        _create(open_database(), name, timedelta(days=days) if days else None)

    @commands.command("list")
    def list_keys() -> None:
        """List keys by their public part."""
        _show(_run(open_database(), store.list_keys))

    @commands.command("revoke")
    def revoke(key_id: KeyId) -> None:
        """Revoke a key. Running services may honour it for 30 seconds more."""
        _revoke(open_database(), key_id.removeprefix("tocsin_").partition("_")[0])

    return commands


def _create(database: Database, name: str, lifetime: timedelta | None) -> None:
    try:
        key = _run(
            database,
            lambda connection: store.create_key(connection, name, lifetime, database.clock()),
        )
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="NAME") from None
    typer.echo(key)


def _show(keys: list[StoredKey]) -> None:
    table = Table("integration", "key", "expires")
    for key in keys:
        expires = key.expires_at.isoformat() if key.expires_at else "never"
        table.add_row(key.name, f"tocsin_{key.key_id}_...", expires)
    print_view(table)


def _revoke(database: Database, key_id: str) -> None:
    if not _run(database, lambda connection: store.delete_key(connection, key_id)):
        raise refused(f"there is no key `{key_id}`; see `tocsin intake keys list`")


def _run(database: Database, work: Callable[[Connection], Awaitable[T]]) -> T:
    """Do `work` in a transaction of its own, and close the database."""

    async def transaction() -> T:
        try:
            async with database.transaction() as connection:
                return await work(connection)
        finally:
            await database.close()

    return asyncio.run(transaction())
