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

from shared.kafka.dead_letters.reading import Advance, Letter, give_back, read_letters
from shared.runtime.settings import Settings, load_settings
from shared.runtime.terminal import plain

_MAX_SHOWN = 10_000

app = typer.Typer(
    no_args_is_help=True, help="What services could not work on: look at it, and give it back."
)
Service = Annotated[
    str | None, typer.Option(help="Only what this service failed on: intake, triage, ...")
]
Since = Annotated[datetime | None, typer.Option(help="Only what failed since then (UTC).")]


@app.command("list")
def list_letters(service: Service = None, since: Since = None) -> None:
    """What could not be worked on, oldest first, each thing once however often it failed."""
    after = (since or datetime.min).replace(tzinfo=UTC)
    letters = [
        one
        for one in _load(load_settings())
        if service in (None, one.data.service) and one.at >= after
    ]
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("id", "last failed", "service", "where", "redrive", "reason"):
        table.add_column(column, overflow="fold", no_wrap=column == "id")
    for letter in letters:
        state = "given back" if letter.given_back else "no" if letter.refusal else "possible"
        row = (
            _short(letter),
            f"{letter.at:%Y-%m-%d %H:%M:%S}",
            letter.data.service,
            letter.place,
            state,
        )
        table.add_row(*map(plain, (*row, letter.data.reason.partition("\n")[0])))
    Console().print(table if letters else "no dead letters")


@app.command()
def show(
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")],
) -> None:
    """All about one: the reason, where it stands, its headers, and its value as text."""
    letter = _find(_load(load_settings()), letter_id)
    data, facts = letter.data, Table.grid(padding=(0, 2))
    state = (
        "given back, and it has not failed since"
        if letter.given_back
        else letter.refusal or "possible"
    )
    for name, text in [
        *(("id", letter.id), ("service", data.service), ("where", letter.place)),
        *(
            ("last failed", f"{letter.at:%Y-%m-%d %H:%M:%S %Z}"),
            ("redrive", state),
            ("reason", data.reason),
        ),
        ("key", data.key if data.offset is None else _decoded(data.key)),
        *((f"header {name}", _decoded(value)) for name, value in data.headers),
        ("value", _decoded(data.value)),
    ]:
        facts.add_row(plain(name), plain(text, keep="\n"))
    Console().print(facts)


@app.command()
def redrive(
    letter_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="As `list` shows them.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of --service.")] = False,
    service: Service = None,
) -> None:
    """Once the cause is mended, give records back to the service that failed on them; no other
    service takes them.

    Safe to repeat: what was given back, and has not failed since, is passed over. What fails again
    is listed again.
    """
    if bool(letter_ids) == everything or everything != (service is not None):
        raise typer.BadParameter("give ids, or --all with --service")
    settings = load_settings()
    letters = _load(settings)
    chosen = [one for one in letters if one.data.service == service] + [
        _find(letters, i) for i in letter_ids or ()
    ]
    for letter in (refused := [letter for letter in chosen if letter.refusal]):
        typer.secho(
            f"tocsin: {_short(letter)} {letter.place}: {letter.refusal}", fg="red", err=True
        )
    if refused and letter_ids:
        raise typer.Exit(1)
    ready = {letter.id: letter for letter in chosen if not letter.refusal}
    waiting = [letter for letter in ready.values() if not letter.given_back]
    if waiting:
        with _progress("given back") as advance:
            asyncio.run(give_back(settings.kafka, settings.topic_prefix, waiting, advance))
    typer.echo(f"{len(waiting)} given back, {len(ready) - len(waiting)} had been already")


def _load(settings: Settings) -> list[Letter]:
    with _progress("read") as advance:
        return asyncio.run(read_letters(settings.kafka, settings.topic_prefix, advance))


def _find(letters: Sequence[Letter], letter_id: str) -> Letter:
    found = [letter for letter in letters if letter.id.endswith(letter_id.lower())]
    if len(found) != 1:
        reason = (
            "is the end of several ids"
            if found
            else "is no dead letter, or one that Kafka keeps no longer"
        )
        typer.secho(
            f"tocsin: {letter_id} {reason}: see `tocsin dead-letters list`", fg="red", err=True
        )
        raise typer.Exit(1)
    return found[0]


@contextmanager
def _progress(what: str) -> Iterator[Advance]:
    columns = (SpinnerColumn(), TextColumn(f"{{task.completed:,.0f}} {what}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda: progress.advance(task)


def _short(letter: Letter) -> str:
    return letter.id[-12:]  # the random end: ids that were made at one time begin alike


def _decoded(encoded: str | None) -> str | None:
    """The text of bytes, no more than a few screens of it."""
    if encoded is None:
        return None
    data = b64decode(encoded)
    text = data[:_MAX_SHOWN].decode(errors="backslashreplace")
    return text if len(data) <= _MAX_SHOWN else f"{text}\n... of {len(data)} bytes in all"
