"""Where triage's objects are built."""

from shared.settings import Settings

NAME = "triage"


async def run(settings: Settings) -> None:
    """Serve until told to stop."""
