"""Commands: `tocsin escalation serve|migrate`, `tocsin incidents ack|resolve`."""

import asyncio
import getpass
from typing import Annotated, Any

import aiohttp
import typer

from services.escalation.links import Action
from shared.migrate import migrate as apply_migrations
from shared.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="Get a human, and keep the response's state.")
incidents = typer.Typer(no_args_is_help=True, help="Incidents: look at them and act on them.")
mounts: dict[str, typer.Typer] = {"incidents": incidents}

Incident = Annotated[str, typer.Argument(help="INC-1042, or the incident's UUID.")]
By = Annotated[str, typer.Option(help="Who acts, as shown in the timeline.", default_factory=getpass.getuser)]
Note = Annotated[str | None, typer.Option(help="Why, or what was done.")]


@app.command()
def serve() -> None:
    """Run the service until SIGTERM or SIGINT."""
    # Not at the top: `tocsin incidents ack` needs none of what a server is built of.
    from services.escalation.app import serve as serve_escalation

    asyncio.run(serve_escalation(load_settings()))


@app.command()
def migrate() -> None:
    """Bring the schema up to date. Needs TOCSIN_POSTGRES_ADMIN; safe to repeat."""
    for name in asyncio.run(apply_migrations(load_settings().admin_dsn(), "escalation")):
        typer.echo(name)


@incidents.command("ack")
def acknowledge(incident: Incident, by: By, note: Note = None) -> None:
    """Take an incident: paging stops."""
    _act(incident, "acknowledge", by, note)


@incidents.command("resolve")
def resolve(incident: Incident, by: By, note: Note = None) -> None:
    """End the response to an incident."""
    _act(incident, "resolve", by, note)


def _act(incident: str, action: Action, by: str, note: str | None) -> None:
    settings = load_settings()
    url = f"{settings.escalation_url.rstrip('/')}/v1/incidents/{incident}/{action}"
    try:
        status, answer = asyncio.run(_post(url, settings.required("api_token"), {"by": by, "note": note}))
    except (aiohttp.ClientError, TimeoutError):
        raise _refused(f"no answer from {settings.escalation_url} (TOCSIN_ESCALATION_URL)") from None
    if status != 200:
        raise _refused(answer.get("detail") or f"HTTP {status}")
    typer.echo(f"{answer['incident']}: {answer['detail']}")
    for line in answer["cut"]:
        typer.echo(f"  cut: {line}")


async def _post(url: str, token: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    timeout = aiohttp.ClientTimeout(total=15)
    async with (
        aiohttp.ClientSession(timeout=timeout, headers={"Authorization": f"Bearer {token}"}) as session,
        session.post(url, json=body) as answer,
    ):
        document = await answer.json(content_type=None) if "json" in answer.content_type else {}
        return answer.status, document


def _refused(reason: str) -> typer.Exit:
    typer.secho(f"tocsin: {reason}", fg="red", err=True)
    return typer.Exit(1)
