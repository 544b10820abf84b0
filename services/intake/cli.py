"""`tocsin intake`: the service, and the keys of those who may send."""

from services.intake.keys import cli as keys
from shared.runtime.commands import service_commands

app = service_commands("services.intake", "Identify and log: signals in, incidents out.")
app.add_typer(keys.app, name="keys")
