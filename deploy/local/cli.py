"""`tocsin up | down | status | restart | demo`."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Annotated

import typer
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.table import Table

from deploy.local.environment import build
from deploy.local.greeting import greet
from deploy.local.paths import LOGS
from deploy.local.polling import wait_for
from deploy.local.process import end_leftover, stop
from deploy.local.rolling import roll
from deploy.local.state import AlreadyUp, Secrets, State, only_supervisor
from deploy.local.supervisor import end_leftovers, tail
from shared.postgres.errors import UNAVAILABLE
from shared.postgres.migrate import MigrationError

app = typer.Typer(no_args_is_help=True)
console = Console()
_STOP_SECONDS = 20.0
_START_SECONDS = 900.0  # the first start downloads Kafka, perhaps over a slow connection
_BUSY = "another `tocsin` is starting or stopping the stack"
_CANNOT_START = (RuntimeError, MigrationError, KafkaError, *UNAVAILABLE)


@app.command("up")
def up(
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Discard all data, keys and ports first.")
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return when the stack is ready and leave it running.")
    ] = False,
) -> None:
    """Start Kafka, PostgreSQL and the services on this machine; Ctrl-C stops them."""
    try:
        if detach:
            _detach(fresh)
        else:
            from deploy.local.up import run  # deferred: every `tocsin` command loads this module

            run(console, fresh=fresh)
    except AlreadyUp:
        _say_already_up(fresh)
    except _CANNOT_START as error:
        _fail(str(error) or type(error).__name__)


@app.command("down")
def down() -> None:
    """Stop what `tocsin up` started."""
    supervisor = State.load().supervisor
    stopped = bool(
        supervisor and end_leftover(supervisor.pid, supervisor.born, signal.SIGTERM, _STOP_SECONDS)
    )
    try:
        with only_supervisor():
            current = State.load()
            left = end_leftovers(current)
            current.ready, current.supervisor = False, None
            current.save()
    except AlreadyUp:
        _fail("another `tocsin up` has just started; try again")
    console.print("stopped" if stopped or left else "the stack was not running")


@app.command("status")
def status() -> None:
    """List the processes with pid, port and health. Exit 1 unless all are ready."""
    current = State.load()
    if not current.ports:
        _fail("the stack was never started here; start it with `tocsin up`")
    table = Table("process", "pid", "port", "health")
    stack = build(current, Secrets.load())
    all_ready = True
    for part in stack.parts:
        record = current.processes.get(part.name)
        running = record is not None and record.alive
        problem = part.problem() if running else "not running"
        all_ready = all_ready and problem is None
        pid = str(record.pid) if record and running else ""
        table.add_row(
            part.name,
            pid,
            str(part.port or ""),
            f"[red]{problem}[/]" if problem else "[green]ready[/]",
        )
    console.print(table)
    if not all_ready:
        raise typer.Exit(1)


@app.command("restart")
def restart(
    services: Annotated[
        list[str] | None,
        typer.Argument(help="Services to restart, in this order.", show_default=False),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Restart all of them.")] = False,
) -> None:
    """Restart services one after the other. Requests wait meanwhile; none is refused."""
    current = State.load()
    if not current.ready:
        _fail("the stack is not running")
    servers = {server.name: server for server in build(current, Secrets.load()).servers}
    names = list(servers) if every else services or []
    if unknown := ", ".join(name for name in names if name not in servers):
        _fail(f"there is no {unknown}; there are {', '.join(servers)}")
    if not names:
        _fail("name a service, or --all")
    try:
        for name in names:
            with console.status(name):
                roll(servers[name])
            console.print(f"{name} was restarted")
    except RuntimeError as error:
        _fail(str(error))


@app.command("demo")
def demo(
    patience: Annotated[
        float, typer.Option(min=1, help="Time limit of each step in seconds.")
    ] = 30,
    remote: Annotated[
        bool, typer.Option("--remote", help="On the Tocsin that the environment describes.")
    ] = False,
) -> None:
    """Play an outage on the stack, starting it if necessary. Exit 1 naming the expectations that
    failed.
    """
    from deploy.local.demo import REMOTE, run_demo  # deferred, as above
    from deploy.local.up import running

    if remote:
        if missing := [name for name in REMOTE if not os.environ.get(name)]:
            _fail(f"not set: {', '.join(missing)}")
        raise typer.Exit(not run_demo(console, os.environ, patience))
    passed = False
    try:
        with running(console):
            passed = run_demo(console, _variables(), patience)
        console.print(
            "`make up` starts the stack again, with this incident and the same addresses."
        )
    except AlreadyUp:
        if not State.load().ready:
            _fail(f"{_BUSY}; try again when `tocsin status` reports it ready")
        passed = run_demo(console, _variables(), patience)
    except _CANNOT_START as error:
        _fail(str(error) or type(error).__name__)
    if not passed:
        raise typer.Exit(1)


def _variables() -> Mapping[str, str]:
    return build(State.load(), Secrets.load()).variables


def _detach(fresh: bool) -> None:
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS.parent / "supervisor.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "deploy.local.cli", "up", *(["--fresh"] if fresh else [])],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def is_up() -> bool:
        if _is_ready(process.pid):
            return True
        if process.poll() is not None:
            raise AlreadyUp if State.load().ready else RuntimeError(tail(log, 20))
        return False

    with console.status("starting"):
        if not wait_for(is_up, _START_SECONDS):
            stop(process, signal.SIGTERM, _STOP_SECONDS)
            raise RuntimeError(
                f"the stack was not ready within {_START_SECONDS:.0f} s\n{tail(log, 20)}"
            )
    greet(console, State.load())
    console.print("The stack runs in the background; `tocsin down` stops it.")


def _is_ready(pid: int) -> bool:
    current = State.load()
    return current.ready and current.supervisor is not None and current.supervisor.pid == pid


def _say_already_up(fresh: bool) -> None:
    if fresh:
        _fail("the stack is running; stop it with `tocsin down` before a fresh start")
    current = State.load()
    if current.ready:
        console.print("the stack was already running")
        greet(console, current)
    else:
        console.print(f"{_BUSY}; `tocsin status` shows its progress", soft_wrap=True)


def _fail(message: str) -> None:
    console.print(f"tocsin: {message}", style="red", highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    app()
