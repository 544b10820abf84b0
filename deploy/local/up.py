"""`tocsin up`: start the stack, from nothing or from its last state, and supervise it."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console

from deploy.local import jars, postgres, state
from deploy.local.environment import Stack, build
from deploy.local.greeting import greet
from deploy.local.paths import JARS, KAFKA, LOGS, POLICY, SECRETS, STATE
from deploy.local.services import installed_services
from deploy.local.state import ProcessRecord, Secrets, State
from deploy.local.supervisor import Supervisor, end_leftovers
from shared.kafka.provisioning import apply_topics
from shared.policy.retention import topics_in
from shared.postgres.migrate import migrate

_READY_SECONDS = 60.0


def run(console: Console, *, fresh: bool) -> None:
    """Start everything, supervise it until interrupted, stop it. Raises what `running` does."""
    with running(console, fresh=fresh) as (supervisor, current):
        greet(console, current)
        console.print("[dim]Ctrl-C stops everything.[/]")
        supervisor.watch()


@contextmanager
def running(console: Console, *, fresh: bool = False) -> Iterator[tuple[Supervisor, State]]:
    """The stack, ready inside the block and stopped after it. An interrupt only ends the block.

    Raises AlreadyUp; RuntimeError, MigrationError or an error of Kafka or PostgreSQL when the stack
    cannot be started. Parts that were started are stopped again.
    """
    with state.only_supervisor():
        current = _recover(console, fresh)
        supervisor = Supervisor(current, lambda line: _print(console, line, style="yellow"))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler)
        try:
            _start(console, supervisor, current)
            yield supervisor, current
        except KeyboardInterrupt:
            console.print("stopping")
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)  # stopping has its own time limits
            supervisor.stop()
            current.ready, current.supervisor = False, None
            current.save()
    console.print("everything is stopped")


def _recover(console: Console, fresh: bool) -> State:
    current = State.load()
    if ended := end_leftovers(current):
        _print(
            console,
            f"ended processes that an earlier run had left: {', '.join(ended)}",
            style="yellow",
        )
    if fresh:
        for folder in (KAFKA, LOGS, postgres.lasting_home()):
            shutil.rmtree(folder, ignore_errors=True)
        for file in (STATE, SECRETS):
            file.unlink(missing_ok=True)
        current = State()
    current.choose_ports()
    current.ready, current.supervisor = False, ProcessRecord.of(os.getpid(), signal.SIGTERM)
    current.save()
    return current


def _print(console: Console, line: str, style: str = "") -> None:
    """Print a line that is not wrapped: it may name a path."""
    console.print(line, style=style, highlight=False, markup=False, soft_wrap=True)


def _start(console: Console, supervisor: Supervisor, current: State) -> None:
    secrets = Secrets.load()
    with _step(console, f"Kafka {jars.KAFKA_VERSION}: fetched and checked") as status:
        files = jars.fetch(
            JARS, lambda done, total: status(f"Kafka {jars.KAFKA_VERSION}: {done} of {total} files")
        )
    stack = build(current, secrets, files)
    with _step(console, f"Kafka on {stack.kafka.bootstrap}"):
        supervisor.start(stack.kafka)
    with _step(console, "PostgreSQL on a Unix socket"):
        supervisor.start(stack.postgres)
    with _step(console, "schemas migrated"):
        for service in installed_services():
            asyncio.run(migrate(stack.postgres.dsn(), service))
    with _step(console, "topics created"):
        asyncio.run(apply_topics(stack.kafka.bootstrap, topics=topics_in(POLICY), replication=1))
    if secrets.integration_key is None:
        secrets.integration_key = _create_key(stack.variables)
        stack = build(current, secrets, files)
    secrets.save()
    state.save_environment(stack.variables)
    _start_servers(console, supervisor, stack)
    current.ready = True
    current.save()


def _start_servers(console: Console, supervisor: Supervisor, stack: Stack) -> None:
    with _step(console, ", ".join(server.name for server in stack.servers)):
        for server in stack.servers:
            supervisor.start(server)
        supervisor.wait_ready([*stack.servers], _READY_SECONDS)


def _create_key(variables: Mapping[str, str]) -> str:
    """The first key of the integration `local`, or another one where the first was not saved."""
    environment = {**os.environ, **variables}
    for verb in ("create", "rotate"):
        command = [sys.executable, "-m", "shared.runtime.cli", "intake", "integrations"]
        done = subprocess.run(
            [*command, verb, "local"], env=environment, capture_output=True, text=True, check=False
        )
        if not done.returncode:
            return done.stdout.strip()
    raise RuntimeError(f"the integration key could not be created: {done.stderr[-500:]}")


@contextmanager
def _step(console: Console, title: str) -> Iterator[Callable[[str], None]]:
    started = time.monotonic()
    with console.status(title) as status:
        yield status.update
    took = f"{time.monotonic() - started:.1f} s"
    console.print(f"[green]✓[/] {title} [dim]{took}[/]", highlight=False)
