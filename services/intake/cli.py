"""`tocsin intake`: the service, the integrations that may send, the heartbeats, and the decisions
about what was sent.
"""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from services.intake import NAME
from services.intake.gateways.cli import commands as mappings
from services.intake.heartbeats.cli import make_commands as heartbeat_commands
from services.intake.incidents.cli import alerts as incident_alerts
from services.intake.incidents.cli import decisions
from services.intake.integrations.cli import make_commands
from services.intake.integrations.policy import FILE, TEAMS_FILE, read_integrations
from services.intake.mail.domain.signals import SCOPE as MAIL
from shared.http.client import Api
from shared.policy.files import InvalidPolicy, PolicyError, check_file, keys_of
from shared.postgres.database import Database
from shared.runtime.commands import refused_on, service_commands
from shared.runtime.settings import load_settings

if TYPE_CHECKING:
    from services.intake.incidents.decisions import Decisions


def _open_decisions() -> "tuple[Database, Decisions]":
    # Imported here: no other command needs the modules of a server.
    opened = importlib.import_module("services.intake.app").open_decisions
    with refused_on(InvalidPolicy):
        found: tuple[Database, Decisions] = opened(load_settings())
    return found


def _gateways() -> frozenset[str]:
    # Imported here: few commands need the modules of a server.
    from services.intake.gateways.registry import Registry

    return frozenset([MAIL, *(gateway.name for gateway in Registry.discover())])


app = service_commands("services.intake", "Identify and log: signals in, incidents out.")
app.add_typer(
    make_commands(lambda: Database(load_settings().dsn(NAME)), _gateways), name="integrations"
)
app.add_typer(heartbeat_commands(lambda: Database(load_settings().dsn(NAME))), name="heartbeats")
decisions.add_commands(app, _open_decisions)
app.add_typer(mappings, name="mappings")


def _connect() -> Api:
    settings = load_settings()
    return Api(settings.intake_url, "TOCSIN_INTAKE_URL", settings.required("api_token"))


incident_alerts.add_commands(app, _connect)


def check_integrations(directory: Path) -> list[PolicyError]:
    """All errors of integrations.yaml in a policy folder, including teams that teams.yaml lacks and
    gateways that are not installed; none when there is no such file.
    """
    file, teams_file = directory / FILE, directory / TEAMS_FILE
    if not file.exists():
        return []
    teams = keys_of(teams_file.read_bytes(), "teams") if teams_file.exists() else None
    return check_file(file, lambda data: read_integrations(data, teams, _gateways()))
