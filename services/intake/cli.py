"""`tocsin intake`: the service, and the integrations that may send."""

from pathlib import Path

from services.intake import NAME
from services.intake.incidents.cli import add_commands
from services.intake.integrations.cli import make_commands
from services.intake.integrations.policy import FILE, TEAMS_FILE, read_integrations
from shared.http.client import Api
from shared.policy.files import PolicyError, check_file, keys_of
from shared.postgres.database import Database
from shared.runtime.commands import service_commands
from shared.runtime.settings import load_settings


def _gateways() -> frozenset[str]:
    # Imported here: few commands need the modules of a server.
    from services.intake.gateways.registry import Registry

    return frozenset(gateway.name for gateway in Registry.discover())


app = service_commands("services.intake", "Identify and log: signals in, incidents out.")
app.add_typer(
    make_commands(lambda: Database(load_settings().dsn(NAME)), _gateways), name="integrations"
)


def _connect() -> Api:
    settings = load_settings()
    return Api(settings.intake_url, "TOCSIN_INTAKE_URL", settings.required("api_token"))


add_commands(app, _connect)


def check_integrations(directory: Path) -> list[PolicyError]:
    """All errors of integrations.yaml in a policy folder, including teams that teams.yaml lacks and
    gateways that are not installed; none when there is no such file.
    """
    file, teams_file = directory / FILE, directory / TEAMS_FILE
    if not file.exists():
        return []
    teams = keys_of(teams_file.read_bytes(), "teams") if teams_file.exists() else None
    return check_file(file, lambda data: read_integrations(data, teams, _gateways()))
