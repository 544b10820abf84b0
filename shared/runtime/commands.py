"""The commands that every service has."""

import asyncio
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated

import typer
import uvloop

from shared.postgres.migrate import LOCK_SECONDS, migrate
from shared.runtime.logs import configure_logs
from shared.runtime.settings import load_settings
from shared.runtime.terminal import printable
from shared.runtime.waiting import Wait, with_patience

LockWait = Annotated[
    float,
    typer.Option(
        min=0, metavar="SECONDS", help="How long to wait while another migration runs there."
    ),
]


def service_commands(package: str, about: str) -> typer.Typer:
    """`tocsin <name> serve` and `tocsin <name> migrate` for the service in `package`, which adds
    its own.
    """
    name = package.rpartition(".")[2]
    app = typer.Typer(no_args_is_help=True, help=about)

    @app.command()
    def serve() -> None:
        """Run the service until SIGTERM. Settings come from TOCSIN_ variables."""
        settings = load_settings()
        configure_logs(name, settings.log_level)
        # Imported here: no other command needs the modules of a server.
        uvloop.run(importlib.import_module(f"{package}.app").run(settings))

    @app.command("migrate")
    def migrate_command(wait: Wait = 0, lock_wait: LockWait = LOCK_SECONDS) -> None:
        """Bring the schema and its roles up to date. Repeatable; needs TOCSIN_POSTGRES_ADMIN."""
        dsn = load_settings().admin_dsn()
        tell = partial(typer.echo, err=True)
        work = partial(migrate, dsn, name, lock_seconds=lock_wait, tell=tell)
        applied = asyncio.run(with_patience(wait, work))
        for line in applied or [f"{name}: the schema is up to date"]:
            typer.echo(line)

    return app


def refused(reason: str) -> typer.Exit:
    """Say in one line why a command is not done. Raise what it returns: exit status 1."""
    typer.secho(f"tocsin: {printable(reason)}", fg="red", err=True)
    return typer.Exit(1)


@contextmanager
def refused_on(*errors: type[Exception]) -> Iterator[None]:
    """End the command as `refused` does when one of these errors is raised, with its text."""
    try:
        yield
    except errors as error:
        raise refused(str(error)) from None
