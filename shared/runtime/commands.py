"""The commands that every service has."""

import asyncio
import importlib

import typer
import uvloop

from shared.postgres.migrate import migrate
from shared.runtime.logs import configure_logs
from shared.runtime.settings import load_settings


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
    """Say in one line why a command is not done; raise what it returns."""
    typer.secho(f"tocsin: {reason}", fg="red", err=True)
    return typer.Exit(1)
