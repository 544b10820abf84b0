"""Composition root of intake: the only place where its objects are built."""

from collections.abc import Iterable
from functools import partial

from fastapi import FastAPI

from services.intake import NAME
from services.intake.gateways.gateway import Gateway
from services.intake.gateways.http import Services, describe, make_router
from services.intake.gateways.registry import Registry
from services.intake.handlers import Handlers
from services.intake.incidents import http as incidents_api
from services.intake.incidents.known_alerts import KnownAlerts
from services.intake.incidents.policy import FILE, read_intake_policy
from services.intake.integrations.key_ring import KeyRing
from services.intake.integrations.policy import FILE as INTEGRATIONS_FILE
from services.intake.integrations.policy import Integrations, read_integrations
from services.intake.integrations.registrar import Registrar
from services.intake.retention.policy import periods
from services.intake.retention.store import AGING
from services.intake.signals.group_commit import GroupCommit
from shared.events import escalation
from shared.http.app import create_app
from shared.kafka.consumption import Consumption
from shared.kafka.redrive import with_redrive
from shared.kafka.topics import SIGNALS
from shared.policy.watch import PolicyWatch
from shared.postgres.database import Database
from shared.postgres.relay import Relay
from shared.postgres.timers import Ticker
from shared.postgres.wake import Wake
from shared.runtime.retention import start_retention
from shared.runtime.service import Component, run_service
from shared.runtime.settings import Settings

# Where processors are short, what was taken in is paged before more is taken in: senders wait a
# little longer for their answer, instead of thousands of pages each waiting for seconds.
_NICENESS = 3


async def run(settings: Settings) -> None:
    """Serve until stopped. Raises InvalidPolicy when there is no good policy."""
    database = Database.of_service(settings.dsn(NAME), NAME)
    clock = database.clock
    gateways = Registry.discover()
    policy = PolicyWatch(settings.policy_dir / FILE, read_intake_policy, database, optional=True)
    integrations = _watch_integrations(settings, gateways, database)
    await policy.start()
    await integrations.start()
    wake = Wake(database.dsn, NAME)
    handlers = Handlers(lambda: policy.current.content, clock)
    commit = GroupCommit(database, handlers.take_new, handlers.take)
    lookup = KnownAlerts(database).find
    app = make_api(Services(KeyRing(database, clock), commit.submit, lookup, clock), gateways)
    token = settings.api_token.get_secret_value() if settings.api_token else None
    app.include_router(incidents_api.make_router(database, token))
    topics = {SIGNALS: handlers.on_signals, escalation.TOPIC: handlers.on_escalation}
    components: dict[str, Component] = {
        "commit": commit,
        "consumption": Consumption(
            database,
            settings.kafka_cluster(NAME),
            group=NAME,
            handlers=with_redrive(NAME, topics),
            clock=clock,
            instance_id=settings.instance,
            kafka_required=False,  # the HTTP side goes on without it
        ),
        "relay": Relay(database.dsn, settings.kafka_cluster(NAME), NAME, clock),
        "timers": Ticker(database, handlers.fire, clock, wake.subscribe("timers")),
        "policy": policy,
        "integrations_policy": integrations,
        "integrations": Registrar(integrations, database, clock),
        "wake": wake,
        **await start_retention(NAME, settings, database, clock, AGING, periods, policy),
    }
    await run_service(NAME, settings, app, database, components, niceness=_NICENESS)


def _watch_integrations(
    settings: Settings, gateways: Iterable[Gateway], database: Database
) -> PolicyWatch[Integrations]:
    read = partial(read_integrations, gateways=[gateway.name for gateway in gateways])
    file = settings.policy_dir / INTEGRATIONS_FILE
    return PolicyWatch(file, read, database, optional=True)


def make_api(services: Services, gateways: Iterable[Gateway] | None = None) -> FastAPI:
    """Intake's HTTP: all gateways that are installed, unless others are given."""
    gateways = Registry(Registry.discover() if gateways is None else gateways)
    app = create_app("Tocsin intake", max_body=None)  # each gateway has bounds of its own
    # Not included but added: metrics name plain routes by the application's own list.
    app.router.routes.extend(make_router(gateways, services).routes)
    app.openapi = partial(describe, app, gateways)  # type: ignore[method-assign]
    return app
