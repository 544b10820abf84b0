"""`tocsin`, the one command line. It mounts what is installed: an image with one service has that one's commands."""

import asyncio
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer
from aiokafka.errors import KafkaError
from rich.console import Console

from shared.db import UNAVAILABLE
from shared.migrate import MigrationError
from shared.policy_files import InvalidPolicy
from shared.settings import SettingsError, load_settings
from shared.topics import apply_topics

app = typer.Typer(no_args_is_help=True, add_completion=False)
topics = typer.Typer(no_args_is_help=True, help="The Kafka topics.")
policy = typer.Typer(no_args_is_help=True, help="The policy files.")
app.add_typer(topics, name="topics")
app.add_typer(policy, name="policy")
errors = Console(stderr=True)
_CANARY = "deploy.canary.cli"


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tocsin {version('tocsin')}")
        raise typer.Exit


@app.callback()
def tocsin(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Tocsin: incident management on a message bus."""


@topics.command("apply")
def topics_apply(
    replication: Annotated[int, typer.Option(help="Replication factor; -1 takes the broker's default.")] = -1,
) -> None:
    """Make missing topics, add partitions, set retention and compaction. Says what it did; safe to repeat."""
    settings = load_settings()
    done = asyncio.run(apply_topics(settings.kafka, settings.topic_prefix, replication=replication))
    for line in done or ["all topics are as they should be"]:
        typer.echo(line)


@policy.command("check")
def policy_check(
    directory: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="The folder of the policy files.")],
) -> None:
    """Check every policy file; each error names the file, the line and the mend. Exit 1 when there is one."""
    found = [error for module in _installed("policy") for error in module.check(directory)]
    for error in found:
        errors.print(str(error), style="red", highlight=False, markup=False, soft_wrap=True)
    if found:
        raise typer.Exit(1)
    typer.echo(f"{directory}: the policy is good")


def _installed(room: str) -> Iterator[ModuleType]:
    """The given room of every service that is installed."""
    services = importlib.import_module("services")
    for service in pkgutil.iter_modules(services.__path__, "services."):
        if _is_installed(f"{service.name}.{room}"):
            yield importlib.import_module(f"{service.name}.{room}")


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # nor is the package above it
        return False


def build(first: str = "") -> typer.Typer:
    """The command tree: one group a service, and the groups that services share (`incidents`, `audit`).

    When `first`, the word that comes first on the command line, is a service or the canary, its commands are all that
    is loaded: services that start together must not load each other's.
    """
    alone = _CANARY if first == "canary" else f"services.{first}.cli"
    if first.isidentifier() and _is_installed(alone):
        app.add_typer(importlib.import_module(alone).app, name=first)
        return app
    shared_groups: dict[str, typer.Typer] = {}
    for module in _installed("cli"):
        app.add_typer(module.app, name=module.__name__.split(".")[1])
        for name, group in getattr(module, "mounts", {}).items():
            if name in shared_groups:
                shared_groups[name].registered_commands += group.registered_commands
            else:
                shared_groups[name] = group
                app.add_typer(group, name=name)
    app.add_typer(importlib.import_module("shared.letters_cli").app, name="dead-letters")
    if _is_installed(_CANARY):
        app.add_typer(importlib.import_module(_CANARY).app, name="canary")
    if _is_installed("deploy.local.cli"):
        app.registered_commands += importlib.import_module("deploy.local.cli").app.registered_commands
    return app


def main() -> None:
    """Run a command; what a person can mend is said in one line, without a traceback."""
    if _is_installed("deploy.local.state"):
        importlib.import_module("deploy.local.state").adopt_environment()
    try:
        build(*sys.argv[1:2])()
    except (SettingsError, InvalidPolicy, MigrationError, KafkaError, *UNAVAILABLE) as error:
        message = f"tocsin: {error or type(error).__name__}"
        errors.print(message, style="red", highlight=False, markup=False, soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
