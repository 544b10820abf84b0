"""`tocsin dead-letters list|show|redrive`."""

import asyncio
from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from shared.kafka.dead_letters.reading import (
    Advance,
    DeadLetter,
    read_dead_letters,
    redrive_records,
)
from shared.runtime.printing import print_view
from shared.runtime.settings import Settings, load_settings
from shared.runtime.terminal import plain

_MAX_SHOWN_BYTES = 10_000
_ROLE = "operator"
_COLUMNS = ("id", "last failed", "service", "origin", "redrive", "reason")

app = typer.Typer(
    no_args_is_help=True,
    help="Messages that a service could not process: inspect them and send them back to it.",
)
Service = Annotated[
    str | None, typer.Option(help="Only messages that this service failed on: intake, triage, ...")
]
Since = Annotated[datetime | None, typer.Option(help="Only messages that failed since then (UTC).")]


@app.command("list")
def list_dead_letters(service: Service = None, since: Since = None) -> None:
    """List dead letters, oldest first. A message that failed several times is listed once."""
    after = (since or datetime.min).replace(tzinfo=UTC)
    chosen = [
        one
        for one in _load(load_settings())
        if service in (None, one.data.service) and one.at >= after
    ]
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in _COLUMNS:
        table.add_column(column, overflow="fold", no_wrap=column == "id")
    for one in chosen:
        table.add_row(*map(plain, _cells(one)))
    print_view(table if chosen else "no dead letters")


def _cells(one: DeadLetter) -> Sequence[str]:
    redrive = "redriven" if one.redriven else "no" if one.refusal else "possible"
    failed, reason = f"{one.at:%Y-%m-%d %H:%M:%S}", one.data.reason.partition("\n")[0]
    return _short(one), failed, one.data.service, one.origin, redrive, reason


@app.command()
def show(
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")],
) -> None:
    """Show one dead letter: reason, origin, headers, and the value as text."""
    one = _find(_load(load_settings()), letter_id)
    data, facts = one.data, Table.grid(padding=(0, 2))
    redrive = one.refusal or "possible"
    if one.redriven:
        redrive = "redriven, and has not failed since"
    fields = {
        "id": one.id,
        "service": data.service,
        "origin": one.origin,
        "last failed": f"{one.at:%Y-%m-%d %H:%M:%S %Z}",
        "redrive": redrive,
        "reason": data.reason,
        "key": data.key if data.offset is None else _decoded(data.key),
    }
    headers = [(f"header {name}", _decoded(value)) for name, value in data.headers]
    for name, text in [*fields.items(), *headers, ("value", _decoded(data.value))]:
        facts.add_row(plain(name), plain(text, keep="\n"))
    print_view(facts)


@app.command()
def redrive(
    letter_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="As `list` shows them.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of --service.")] = False,
    service: Service = None,
) -> None:
    """Send records back to the service that failed on them, once the cause is fixed. No other
    service processes them.

    Safe to repeat: a record that was redriven and has not failed since is skipped. One that fails
    again is listed again.
    """
    if bool(letter_ids) == everything or everything != (service is not None):
        raise typer.BadParameter("give ids, or --all with --service")
    settings = load_settings()
    found = _load(settings)
    chosen = [_find(found, letter_id) for letter_id in letter_ids or ()]
    if everything:
        chosen = [one for one in found if one.data.service == service]
    refused = [one for one in chosen if one.refusal]
    for one in refused:
        _complain(f"{_short(one)} {one.origin}: {one.refusal}")
    if refused and letter_ids:
        raise typer.Exit(1)
    ready = {one.id: one for one in chosen if not one.refusal}
    waiting = [one for one in ready.values() if not one.redriven]
    if waiting:
        with _progress("redriven") as advance:
            asyncio.run(
                redrive_records(
                    *(settings.kafka, settings.topic_prefix, waiting, advance),
                    security=settings.kafka_security(_ROLE),
                )
            )
    typer.echo(f"{len(waiting)} redriven, {len(ready) - len(waiting)} skipped")


def _load(settings: Settings) -> list[DeadLetter]:
    with _progress("read") as advance:
        return asyncio.run(
            read_dead_letters(
                *(settings.kafka, settings.topic_prefix, advance),
                security=settings.kafka_security(_ROLE),
            )
        )


def _find(dead_letters: Sequence[DeadLetter], letter_id: str) -> DeadLetter:
    found = [one for one in dead_letters if one.id.endswith(letter_id.lower())]
    if len(found) != 1:
        reason = "several dead letters end with this id" if found else "no dead letter has this id"
        _complain(f"{letter_id}: {reason}; see `tocsin dead-letters list`")
        raise typer.Exit(1)
    return found[0]


def _complain(text: str) -> None:
    typer.secho(f"tocsin: {text}", fg="red", err=True)


@contextmanager
def _progress(what: str) -> Iterator[Advance]:
    columns = (SpinnerColumn(), TextColumn(f"{{task.completed:,.0f}} {what}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda: progress.advance(task)


def _short(one: DeadLetter) -> str:
    return one.id[-12:]  # the random end: ids that were made at one time begin alike


def _decoded(encoded: str | None) -> str | None:
    """The text of bytes, no more than a few screens of it."""
    if encoded is None:
        return None
    data = b64decode(encoded)
    text = data[:_MAX_SHOWN_BYTES].decode(errors="backslashreplace")
    return text if len(data) <= _MAX_SHOWN_BYTES else f"{text}\n... of {len(data)} bytes in all"
