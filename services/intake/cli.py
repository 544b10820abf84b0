"""`tocsin intake`: the service, the keys of those who may send, and the heartbeats."""

from services.intake import NAME
from services.intake.heartbeats.cli import make_commands as heartbeat_commands
from services.intake.keys.cli import make_commands
from shared.postgres.database import Database
from shared.runtime.commands import service_commands
from shared.runtime.settings import load_settings

app = service_commands("services.intake", "Identify and log: signals in, incidents out.")
app.add_typer(make_commands(lambda: Database(load_settings().dsn(NAME))), name="keys")
app.add_typer(heartbeat_commands(lambda: Database(load_settings().dsn(NAME))), name="heartbeats")
