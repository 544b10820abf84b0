"""`tocsin triage`."""

from shared.commands import service_commands
from shared.settings import Settings


async def _run(settings: Settings) -> None:
    # Not at the top: migrating needs none of what a server is built of.
    from services.triage.app import run

    await run(settings)


app = service_commands("triage", "Prioritise incidents and find their owner.", _run)
