"""Composition root of intake: the only place where its objects are built."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
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
from services.intake.signals.domain import KnownAlert
from services.intake.signals.domain.records import cleansed
from services.intake.signals.domain.redaction import redactor
from services.intake.signals.group_commit import GroupCommit
from shared.events import escalation
from shared.http.app import create_app
from shared.kafka.consumption import Consumption
from shared.kafka.record import Record
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
    handlers = Handlers(lambda: policy.current.content, clock, lambda: policy.current.version)
    commit = GroupCommit(database, handlers.take_new, handlers.take)
    lookup = partial(_look_up, database, policy)
    services = Services(KeyRing(database, clock), commit.submit, lookup, clock)
    app = make_api(services, others=_decisions_api(settings, database, handlers))
    topics = {SIGNALS: handlers.on_signals, escalation.TOPIC: handlers.on_escalation}
    components: dict[str, Component] = {
        "commit": commit,
        "consumption": Consumption(
            database,
            bootstrap=settings.kafka,
            group=NAME,
            handlers=with_redrive(NAME, topics),
            cleanse={SIGNALS: partial(_cleanse, policy)},
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


def _decisions_api(settings: Settings, database: Database, handlers: Handlers) -> APIRouter | None:
    """The API of decisions, where there is a token for it."""
    if settings.api_token is None:
        return None
    gateways = list(Registry.discover())
    decisions = Decisions(database, handlers.preview, gateways, database.clock)
    return decisions_router(decisions, settings.api_token.get_secret_value())


async def _look_up(
    database: Database, policy: PolicyWatch[IntakePolicy], origin: str, keys: Sequence[str] | None
) -> list[KnownAlert]:
    """`look_up` for keys as senders write them: they are kept without what is redacted."""
    rules = redactor(policy.current.content.redact)
    asked = {rules.key(key): key for key in keys or ()}
    found = await look_up(database, origin, None if keys is None else list(asked))
    return [replace(alert, key=asked.get(alert.key, alert.key)) for alert in found]


def _cleanse(policy: PolicyWatch[IntakePolicy], record: Record, reason: str) -> tuple[Record, str]:
    return cleansed(record, reason, redactor(policy.current.content.redact))


def open_decisions(settings: Settings) -> tuple[Database, Decisions]:
    """What explains, tries and corrects decisions, without the service: with the policy file as it
    is now. Raises InvalidPolicy.
    """
    database = Database(settings.dsn(NAME))
    file = settings.policy_dir / FILE
    policy = read_intake_policy(file.read_bytes() if file.exists() else b"")
    handlers = Handlers(lambda: policy.content, database.clock, lambda: policy.version)
    gateways = list(Registry.discover())
    return database, Decisions(database, handlers.preview, gateways, database.clock)


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
