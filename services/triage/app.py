"""Composition root of triage: the only place where its objects are built."""

from services.triage.handlers import Triage
from services.triage.policy import FILE, read_catalogue
from shared.clock import system_clock
from shared.consumption import Consumption
from shared.db import Database
from shared.events import intake
from shared.http import create_app
from shared.policy_watch import PolicyWatch
from shared.redrive import with_redrive
from shared.relay import Relay
from shared.service import Component, run_service
from shared.settings import Settings

NAME = "triage"


async def run(settings: Settings) -> None:
    """Serve until told to stop. Raises InvalidPolicy when there is no good catalogue."""
    clock = system_clock
    database = Database(settings.dsn(NAME), application=f"tocsin-{NAME}")
    catalogue = PolicyWatch(settings.policy_dir / FILE, read_catalogue, database)
    await catalogue.start()
    triage = Triage(lambda: catalogue.current, clock)
    components: dict[str, Component] = {
        "consumption": Consumption(
            database,
            bootstrap=settings.kafka,
            group=NAME,
            handlers=with_redrive(NAME, {intake.TOPIC: triage.on_intake}),
            clock=clock,
            topic_prefix=settings.topic_prefix,
            instance_id=settings.instance,
        ),
        "relay": Relay(database.dsn, settings.kafka, NAME, clock, settings.topic_prefix),
        "policy": catalogue,
    }
    await run_service(NAME, settings, create_app("Tocsin triage"), database, components)
