"""How people act: `tocsin incidents ack|resolve`."""

import getpass
from collections.abc import Callable
from typing import Annotated

import typer

from services.escalation.response.domain.orders import Action
from shared.events.reference import format_reference, parse_reference
from shared.http.client import Api, ApiError
from shared.runtime.commands import refused, refused_on

Reference = Annotated[
    str, typer.Argument(metavar="INCIDENT", help="INC-1042, 1042, or the incident's UUID.")
]
By = Annotated[
    str, typer.Option(help="Who acts, as shown in the timeline.", default_factory=getpass.getuser)
]
Note = Annotated[str | None, typer.Option(help="Why, or what was done.")]


def make_commands(connect: Callable[[], Api]) -> typer.Typer:
    """The commands; `connect` gives the API of escalation."""
    group = typer.Typer(no_args_is_help=True, help="Show incidents and act on them.")

    @group.command("ack")
    def acknowledge(incident: Reference, by: By, note: Note = None) -> None:
        """Take an incident: paging stops."""
        _act(connect(), incident, "acknowledge", by, note)

    @group.command("resolve")
    def resolve(incident: Reference, by: By, note: Note = None) -> None:
        """End the response to an incident."""
        _act(connect(), incident, "resolve", by, note)

    return group


def _act(api: Api, incident: str, action: Action, by: str, note: str | None) -> None:
    try:
        reference = parse_reference(incident)
    except ValueError as error:
        raise refused(f"{incident} {error}") from None
    name = format_reference(reference) if isinstance(reference, int) else reference
    with refused_on(ApiError):
        answer = api.post(f"/v1/incidents/{name}/{action}", {"by": by, "note": note})
    typer.echo(f"{answer['incident']}: {answer['said']}")
    for line in answer["cut"]:
        typer.echo(f"  cancelled: {line}")
