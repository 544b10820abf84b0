"""`tocsin triage`."""

from shared.runtime.commands import service_commands

app = service_commands("services.triage", "Prioritise incidents and find their owner.")
