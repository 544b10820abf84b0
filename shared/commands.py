"""The commands that every service has."""

import asyncio
from collections.abc import Awaitable, Callable

import typer
import uvloop

from shared.logs import configure_logs
from shared.migrate import migrate
from shared.settings import Settings, load_settings


def service_commands(name: str, about: str, run: Callable[[Settings], Awaitable[None]]) -> typer.Typer:
    """`tocsin <name> serve` and `tocsin <name> migrate`; the service adds its own."""
    app = typer.Typer(no_args_is_help=True, help=about)

    @app.command()
    def serve() -> None:
        """Run the service until SIGTERM. Settings come from TOCSIN_ variables."""
        settings = load_settings()
        configure_logs(name, settings.log_level)

        async def serving() -> None:
            await run(settings)

        uvloop.run(serving())

    @app.command("migrate")
    def migrate_command() -> None:
        """Bring the schema and its roles up to date. Safe to repeat; needs TOCSIN_POSTGRES_ADMIN."""
        applied = asyncio.run(migrate(load_settings().admin_dsn(), name))
        for line in applied or [f"{name}: the schema is up to date"]:
            typer.echo(line)

    return app
