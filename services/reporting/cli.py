"""Mounts `tocsin reporting serve|migrate`, `tocsin incidents list|show`, `tocsin audit verify`."""

import typer

from services.reporting import NAME
from services.reporting.audit.cli import make_commands as audit_commands
from services.reporting.timeline.cli import make_commands as incident_commands
from shared.http.client import Api
from shared.postgres.database import Database
from shared.runtime.commands import service_commands
from shared.runtime.settings import load_settings

app = service_commands(
    "services.reporting", "Learn and prove: timelines, figures, the console and the audit log."
)
incidents = incident_commands(lambda: Api(load_settings().console_url, "TOCSIN_CONSOLE_URL"))
audit = audit_commands(lambda: Database(load_settings().dsn(NAME), application="tocsin audit"))
mounts: dict[str, typer.Typer] = {"incidents": incidents, "audit": audit}
