"""`tocsin escalation`, and how people act: `tocsin incidents ack|resolve`."""

import asyncio
import getpass
from typing import Annotated, Any
from urllib.parse import quote

import aiohttp
import typer

from services.escalation.response.domain import Action
from shared.runtime.commands import refused, service_commands
from shared.runtime.settings import load_settings

app = service_commands("services.escalation", "Get a human, and keep the response's state.")
incidents = typer.Typer(no_args_is_help=True, help="Incidents: look at them and act on them.")
mounts: dict[str, typer.Typer] = {"incidents": incidents}

Reference = Annotated[
    str, typer.Argument(metavar="INCIDENT", help="INC-1042, or the incident's UUID.")
]
By = Annotated[
    str, typer.Option(help="Who acts, as shown in the timeline.", default_factory=getpass.getuser)
]
Note = Annotated[str | None, typer.Option(help="Why, or what was done.")]


@incidents.command("ack")
def acknowledge(incident: Reference, by: By, note: Note = None) -> None:
    """Take an incident: paging stops."""
    _act(incident, "acknowledge", by, note)


@incidents.command("resolve")
def resolve(incident: Reference, by: By, note: Note = None) -> None:
    """End the response to an incident."""
    _act(incident, "resolve", by, note)


def _act(incident: str, action: Action, by: str, note: str | None) -> None:
    settings = load_settings()
    url = f"{settings.escalation_url.rstrip('/')}/v1/incidents/{quote(incident, safe='')}/{action}"
    try:
        status, answer = asyncio.run(
            _post(url, settings.required("api_token"), {"by": by, "note": note})
        )
    except (aiohttp.ClientError, TimeoutError, ValueError):
        raise refused(f"no answer from {settings.escalation_url} (TOCSIN_ESCALATION_URL)") from None
    if status != 200:
        raise refused(answer.get("detail") or f"{settings.escalation_url} answered HTTP {status}")
    typer.echo(f"{answer['incident']}: {answer['said']}")
    for line in answer["cut"]:
        typer.echo(f"  cut: {line}")


async def _post(url: str, token: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    timeout = aiohttp.ClientTimeout(total=15)
    async with (
        aiohttp.ClientSession(
            timeout=timeout, headers={"Authorization": f"Bearer {token}"}
        ) as session,
        session.post(url, json=body) as answer,
    ):
        return answer.status, await answer.json(
            content_type=None
        ) if "json" in answer.content_type else {}
