"""`tocsin intake`: the service, and the keys of those who may send."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from services.intake.incidents import store
from services.intake.incidents.store import StoredKey
from services.intake.keys.key_ring import create_key
from shared.postgres.database import Database
from shared.runtime.clock import system_clock
from shared.runtime.commands import refused, service_commands
from shared.runtime.settings import load_settings

T = TypeVar("T")


async def _with_database(work: Callable[[Database], Awaitable[T]]) -> T:
    database = Database(load_settings().dsn("intake"))
    try:
        return await work(database)
    finally:
        await database.close()


app = service_commands("services.intake", "Identify and log: signals in, incidents out.")
keys = typer.Typer(no_args_is_help=True, help="Integration keys: who may send signals.")
app.add_typer(keys, name="keys")


@keys.command("create")
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

    async def create(database: Database) -> str:
        async with database.transaction() as connection:
            return await create_key(
                connection, name, timedelta(days=days) if days else None, system_clock()
            )

    try:
        typer.echo(asyncio.run(_with_database(create)))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="NAME") from None


@keys.command("list")
def keys_list() -> None:
    """List keys by their public part."""

    async def load(database: Database) -> list[StoredKey]:
        async with database.connection() as connection:
            return await store.list_keys(connection)

    table = Table("integration", "key", "expires")
    for key in asyncio.run(_with_database(load)):
        table.add_row(
            key.name,
            f"tocsin_{key.key_id}_...",
            key.expires_at.isoformat() if key.expires_at else "never",
        )
    Console().print(table)


@keys.command("revoke")
def keys_revoke(
    key_id: Annotated[str, typer.Argument(help="The public part, as `list` shows it.")],
) -> None:
    """Revoke a key. Running services may honour it for 30 seconds more."""
    public = key_id.removeprefix("tocsin_").partition("_")[0]

    async def revoke(database: Database) -> bool:
        async with database.transaction() as connection:
            return await store.delete_key(connection, public)

    if not asyncio.run(_with_database(revoke)):
        raise refused(f"there is no key `{public}`; see `tocsin intake keys list`")
