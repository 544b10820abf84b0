"""The commands that every service has."""

import asyncio
import importlib
from collections.abc import Iterator
from contextlib import contextmanager

import typer
import uvloop

from shared.postgres.migrate import migrate
from shared.runtime.logs import configure_logs
from shared.runtime.settings import load_settings
from shared.runtime.terminal import printable


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
        # Not at the top: no other command needs any of what a server is built of.
        uvloop.run(importlib.import_module(f"{package}.app").run(settings))

    @app.command("migrate")
    def migrate_command() -> None:
        """Bring the schema and its roles up to date. Safe to repeat; needs TOCSIN_POSTGRES_ADMIN."""
        applied = asyncio.run(migrate(load_settings().admin_dsn(), name))
        for line in applied or [f"{name}: the schema is up to date"]:
            typer.echo(line)

    return app


def refused(reason: str) -> typer.Exit:
    """Say in one line why a command is not done. Raise what it returns: exit status 1."""
    typer.secho(f"tocsin: {printable(reason)}", fg="red", err=True)
    return typer.Exit(1)


@contextmanager
def refused_on(*errors: type[Exception]) -> Iterator[None]:
    """End the command as `refused` does, with the text of the error, when one of these is raised."""
    try:
        yield
    except errors as error:
        raise refused(str(error)) from None
