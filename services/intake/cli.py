"""`tocsin intake`: the service, and the integrations that may send."""

from services.intake import NAME
from services.intake.integrations.cli import make_commands
from shared.postgres.database import Database
from shared.runtime.commands import service_commands
from shared.runtime.settings import load_settings

app = service_commands("services.intake", "Identify and log: signals in, incidents out.")
app.add_typer(make_commands(lambda: Database(load_settings().dsn(NAME))), name="integrations")
