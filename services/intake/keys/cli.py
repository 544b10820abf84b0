"""`tocsin intake keys`: who may send signals."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from services.intake.keys import store
from shared.postgres.connection import Connection
from shared.postgres.database import Database
from shared.runtime.clock import system_clock
from shared.runtime.commands import refused
from shared.runtime.settings import load_settings

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help="Integration keys: who may send signals.")


@app.command("create")
def keys_create(
    name: Annotated[
        str,
        typer.Argument(
            help="The integration, e.g. alertmanager. Two keys of one name are a rotation."
        ),
    ],
    days: Annotated[
        int | None, typer.Option(min=1, help="Days until it expires; default: never.")
    ] = None,
) -> None:
    """Make a key and print it. It is shown this once; only a hash of it is kept."""
    lifetime = timedelta(days=days) if days else None
    try:
        key = _run(lambda connection: store.create_key(connection, name, lifetime, system_clock()))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="NAME") from None
    typer.echo(key)


@app.command("list")
def keys_list() -> None:
    """List keys by their public part."""
    table = Table("integration", "key", "expires")
    for key in _run(store.list_keys):
        expires = key.expires_at.isoformat() if key.expires_at else "never"
        table.add_row(key.name, f"tocsin_{key.key_id}_...", expires)
    Console().print(table)


@app.command("revoke")
def keys_revoke(
    key_id: Annotated[str, typer.Argument(help="The public part, as `list` shows it.")],
) -> None:
    """Revoke a key. Running services may honour it for 30 seconds more."""
    public = key_id.removeprefix("tocsin_").partition("_")[0]
    if not _run(lambda connection: store.delete_key(connection, public)):
        raise refused(f"there is no key `{public}`; see `tocsin intake keys list`")


def _run(work: Callable[[Connection], Awaitable[T]]) -> T:
    """Do `work` in a transaction of its own."""

    async def transaction() -> T:
        database = Database(load_settings().dsn("intake"))
        try:
            async with database.transaction() as connection:
                return await work(connection)
        finally:
            await database.close()

    return asyncio.run(transaction())
