"""`tocsin triage`."""

from services.triage.app import NAME, run
from shared.commands import service_commands

app = service_commands(NAME, "Prioritise incidents and find their owner.", run)
