"""`tocsin escalation`, and its part of `tocsin incidents`."""

import typer

from services.escalation.response.cli import make_commands
from shared.http.client import Api
from shared.runtime.commands import service_commands
from shared.runtime.settings import load_settings

app = service_commands("services.escalation", "Get a human, and keep the response's state.")


def _connect() -> Api:
    settings = load_settings()
    return Api(settings.escalation_url, "TOCSIN_ESCALATION_URL", settings.required("api_token"))


mounts: dict[str, typer.Typer] = {"incidents": make_commands(_connect)}
