"""`tocsin`, the one command line. It mounts what is installed: an image with one service has that
one's commands.
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from aiokafka.errors import KafkaError
from rich.console import Console

from shared.kafka.provisioning import apply_topics
from shared.policy.files import InvalidPolicy
from shared.policy.retention import topics_in
from shared.postgres.errors import UNAVAILABLE
from shared.postgres.migrate import MigrationError
from shared.runtime.discovery import (
    COMMANDS,
    ENVIRONMENT,
    POLICIES,
    TOP_LEVEL_COMMANDS,
    installed,
    service_packages,
)
from shared.runtime.settings import SettingsError, load_settings
from shared.runtime.waiting import Wait, with_patience

app = typer.Typer(no_args_is_help=True, add_completion=False)
topics = typer.Typer(no_args_is_help=True, help="The Kafka topics.")
policy = typer.Typer(no_args_is_help=True, help="The policy files.")
app.add_typer(topics, name="topics")
app.add_typer(policy, name="policy")
errors = Console(stderr=True)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tocsin {version('tocsin')}")
        raise typer.Exit


@app.callback()
def tocsin(
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Tocsin: incident management on a message bus."""


@topics.command("apply")
def topics_apply(
    replication: Annotated[
        int, typer.Option(help="Replication factor; -1 takes the broker's default.")
    ] = -1,
    wait: Wait = 0,
) -> None:
    """Make missing topics, add partitions, set compaction, and retention as retention.yaml in
    TOCSIN_POLICY_DIR has it. Says what it did; safe to repeat.
    """
    settings = load_settings()
    wanted = topics_in(settings.policy_dir)
    security = settings.kafka_security("provisioner")

    async def apply() -> list[str]:
        return await apply_topics(
            settings.kafka, settings.topic_prefix, wanted, replication, security=security
        )

    done = asyncio.run(with_patience(wait, apply))
    for line in done or ["all topics are as they should be"]:
        typer.echo(line)


@policy.command("check")
def policy_check(
    directory: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="The folder of the policy files.")
    ],
) -> None:
    """Check every policy file; each error names the file, the line and the fix. Exit 1 when there
    is one.
    """
    found = [error for entry in installed(POLICIES) for error in entry.load()(directory)]
    for error in found:
        errors.print(str(error), style="red", highlight=False, markup=False, soft_wrap=True)
    if found:
        raise typer.Exit(1)
    typer.echo(f"{directory}: the policy is good")


def build(first: str = "") -> typer.Typer:
    """The command tree: one group a service, and the groups that services share (`incidents`,
    `audit`).

    When `first`, the first word of the command line, names an installed service or command group,
    only its commands are loaded: services that start together must not load each other's.
    """
    services = service_packages()
    commands = {entry.name: entry.module for entry in installed(COMMANDS)}
    if module := f"{services[first]}.cli" if first in services else commands.get(first):
        app.add_typer(import_module(module).app, name=first)
        return app
    _add_services(services)
    for name, module in commands.items():
        app.add_typer(import_module(module).app, name=name)
    for entry in installed(TOP_LEVEL_COMMANDS):
        app.registered_commands += import_module(entry.module).app.registered_commands
    return app


def _add_services(services: Mapping[str, str]) -> None:
    groups: dict[str, typer.Typer] = {}
    for service, package in services.items():
        module = import_module(f"{package}.cli")
        app.add_typer(module.app, name=service)
        for name, group in getattr(module, "mounts", {}).items():
            if name in groups:
                groups[name].registered_commands += group.registered_commands
            else:
                groups[name] = group
                app.add_typer(group, name=name)


def main() -> None:
    """Run a command; what a person can correct is said in one line, without a traceback."""
    # Of its errors the last line of a command says more.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    if os.getpid() == 1:  # in a container: the kernel ends no process 1 that has no handler
        signal.signal(signal.SIGTERM, _end)
    for entry in installed(ENVIRONMENT):
        entry.load()()
    try:
        build(*sys.argv[1:2])()
    except (SettingsError, InvalidPolicy, MigrationError, KafkaError, *UNAVAILABLE) as error:
        message = f"tocsin: {error or type(error).__name__}"
        errors.print(message, style="red", highlight=False, markup=False, soft_wrap=True)
        sys.exit(1)


def _end(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
