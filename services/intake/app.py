"""Composition root of intake: the only place where its objects are built."""

from collections.abc import Callable, Iterable
from functools import partial

from fastapi import APIRouter, FastAPI

from services.intake import NAME
from services.intake.gateways.gateway import Gateway
from services.intake.gateways.http import Services, describe, make_router
from services.intake.gateways.registry import Registry
from services.intake.handlers import Handlers
from services.intake.incidents.decisions import Decisions
from services.intake.incidents.http import make_router as decisions_router
from services.intake.incidents.lookup import look_up
from services.intake.incidents.policy import FILE, IntakePolicy, read_intake_policy
from services.intake.keys.key_ring import KeyRing
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
    policy = PolicyWatch(settings.policy_dir / FILE, read_intake_policy, database, optional=True)
    await policy.start()
    wake = Wake(database.dsn, NAME)
    handlers = Handlers(lambda: policy.current.content, clock)
    commit = GroupCommit(database, handlers.take_new, handlers.take)
    lookup = partial(look_up, database)
    gateways = Registry(Registry.discover())
    services = Services(KeyRing(database, clock), commit.submit, lookup, clock)
    token = settings.api_token.get_secret_value() if settings.api_token else None
    decisions = make_decisions(database, handlers, lambda: policy.current.content, gateways)
    router = decisions_router(decisions, token) if token else None
    app = make_api(services, gateways, router)
    topics = {SIGNALS: handlers.on_signals, escalation.TOPIC: handlers.on_escalation}
    components: dict[str, Component] = {
        "commit": commit,
        "consumption": Consumption(
            database,
            bootstrap=settings.kafka,
            group=NAME,
            handlers=with_redrive(NAME, topics),
            clock=clock,
            topic_prefix=settings.topic_prefix,
            instance_id=settings.instance,
            security=settings.kafka_security(NAME),
            kafka_required=False,  # the HTTP side goes on without it
        ),
        "relay": Relay(
            *(database.dsn, settings.kafka, NAME, clock, settings.topic_prefix),
            security=settings.kafka_security(NAME),
        ),
        "timers": Ticker(database, handlers.fire, clock, wake.subscribe("timers")),
        "policy": policy,
        "wake": wake,
        **await start_retention(NAME, settings, database, clock, AGING, periods, policy),
    }
    await run_service(NAME, settings, app, database, components, niceness=_NICENESS)


def make_decisions(
    database: Database,
    handlers: Handlers,
    policy: Callable[[], IntakePolicy],
    gateways: Iterable[Gateway],
) -> Decisions:
    """What explains, tries and corrects the decisions of `handlers`."""
    made_by = (handlers.preview, handlers.reclassify, policy)
    return Decisions(database, *made_by, list(gateways), database.clock)


def open_decisions(settings: Settings) -> tuple[Database, Decisions]:
    """The same without the service, for commands: with the policy file as it is now. Raises
    InvalidPolicy.
    """
    database = Database(settings.dsn(NAME))
    file = settings.policy_dir / FILE
    policy = read_intake_policy(file.read_bytes() if file.exists() else b"").content
    handlers = Handlers(lambda: policy, database.clock)
    gateways = Registry(Registry.discover())
    return database, make_decisions(database, handlers, lambda: policy, gateways)


def make_api(
    services: Services, gateways: Iterable[Gateway] | None = None, others: APIRouter | None = None
) -> FastAPI:
    """Intake's HTTP: all gateways that are installed, unless others are given, and `others`."""
    gateways = Registry(Registry.discover() if gateways is None else gateways)
    app = create_app("Tocsin intake", max_body=None)  # each gateway has bounds of its own
    # Not included but added: metrics name plain routes by the application's own list.
    app.router.routes.extend(make_router(gateways, services).routes)
    if others:
        app.include_router(others)
    described = partial(describe, app, gateways, others.routes if others else [])
    app.openapi = described  # type: ignore[method-assign]
    return app
