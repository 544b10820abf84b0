"""`tocsin triage`."""

from shared.commands import service_commands

app = service_commands("triage", "Prioritise incidents and find their owner.")
