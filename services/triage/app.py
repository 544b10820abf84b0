"""Composition root of triage: the only place where its objects are built."""

from services.triage.catalogue.policy import FILE, read_catalogue
from services.triage.handlers import Handlers
from services.triage.retention.policy import periods
from services.triage.retention.store import AGING
from shared.events import intake
from shared.http.app import create_app
from shared.kafka.consumption import Consumption
from shared.kafka.redrive import with_redrive
from shared.policy.watch import PolicyWatch
from shared.postgres.database import Database
from shared.postgres.relay import Relay
from shared.runtime.retention import start_retention
from shared.runtime.service import Component, run_service
from shared.runtime.settings import Settings

NAME = "triage"


async def run(settings: Settings) -> None:
    """Serve until SIGTERM. Raises InvalidPolicy when there is no good catalogue."""
    database = Database.of_service(settings.dsn(NAME), NAME)
    clock = database.clock
    catalogue = PolicyWatch(settings.policy_dir / FILE, read_catalogue, database)
    await catalogue.start()
    handlers = Handlers(lambda: catalogue.current, clock)
    components: dict[str, Component] = {
        "consumption": Consumption(
            database,
            settings.kafka_cluster(NAME),
            group=NAME,
            handlers=with_redrive(NAME, {intake.TOPIC: handlers.on_intake}),
            deciders={intake.TOPIC: handlers.decide},
            clock=clock,
            instance_id=settings.instance,
        ),
        "relay": Relay(database.dsn, settings.kafka_cluster(NAME), NAME, clock),
        "policy": catalogue,
        **await start_retention(NAME, settings, database, clock, AGING, periods),
    }
    await run_service(NAME, settings, create_app("Tocsin triage"), database, components)
