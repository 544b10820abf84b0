"""Composition root of intake: the only place where its objects are built."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from fastapi import APIRouter, FastAPI

from services.intake import NAME
from services.intake.gateways.gateway import Gateway
from services.intake.gateways.http import Services, describe, make_router
from services.intake.gateways.policy import (
    FOLDER,
    SIGNATURES,
    GatewayPolicy,
    bundle,
    in_force,
    read_bundle,
    read_signatures,
)
from services.intake.gateways.registry import Registry
from services.intake.handlers import Handlers
from services.intake.heartbeats import policy as heartbeats
from services.intake.heartbeats.policy_sync import PolicySync
from services.intake.heartbeats.register import Register
from services.intake.incidents.decisions import Decisions
from services.intake.incidents.http.alerts import make_router as alerts_router
from services.intake.incidents.http.decisions import make_router as decisions_router
from services.intake.incidents.known_alerts import KnownAlerts
from services.intake.incidents.policy import FILE, IntakePolicy, read_intake_policy
from services.intake.integrations.key_ring import KeyRing
from services.intake.integrations.policy import FILE as INTEGRATIONS_FILE
from services.intake.integrations.policy import read_integrations
from services.intake.integrations.registrar import Registrar
from services.intake.mail.domain.signals import SCOPE as MAIL
from services.intake.mail.listener import Listener
from services.intake.retention.policy import periods
from services.intake.retention.store import AGING
from services.intake.signals.domain.records import cleansed
from services.intake.signals.domain.redaction import redactor
from services.intake.signals.group_commit import GroupCommit
from shared.events import escalation
from shared.http.app import create_app
from shared.http.downloads import Downloads
from shared.kafka.consumption import Consumption
from shared.kafka.record import Record
from shared.kafka.redrive import with_redrive
from shared.kafka.topics import SIGNALS
from shared.policy.watch import PolicyWatch
from shared.postgres.database import Database
from shared.postgres.relay import Relay
from shared.postgres.timers import Ticker
from shared.postgres.wake import Wake
from shared.runtime.clock import Clock
from shared.runtime.retention import start_retention
from shared.runtime.service import Component, run_service
from shared.runtime.settings import Settings

# Where processors are short, what was taken in is paged before more is taken in: senders wait a
# little longer for their answer, instead of thousands of pages each waiting for seconds.
_NICENESS = 3

Components = Mapping[str, Component]
"""By the name that health and logs give each."""


async def run(settings: Settings) -> None:
    """Serve until stopped. Raises InvalidPolicy when there is no good policy."""
    database = Database.of_service(settings.dsn(NAME), NAME)
    clock = database.clock
    gateways = Registry.discover()
    policies = _Policies(settings.policy_dir, [gateway.name for gateway in gateways], database)
    await policies.start()
    wake = Wake(database.dsn, NAME)
    policy = policies.intake
    handlers = Handlers(lambda: policy.current.content, clock, lambda: policy.current.version)
    commit = GroupCommit(database, handlers.take_new, handlers.take)
    keys, downloads = KeyRing(database, clock), Downloads(settings.allowed_networks)
    lookup = KnownAlerts(database, lambda: policy.current.content).find
    of_gateways, register = policies.of_gateways, Register(database, clock)
    services = Services(keys, commit.submit, lookup, clock, register, of_gateways, downloads)
    app = make_api(services, gateways, _incidents_api(settings, database, handlers, policies))
    topics = {SIGNALS: handlers.on_signals, escalation.TOPIC: handlers.on_escalation}
    components: dict[str, Component] = {
        "commit": commit,
        "consumption": Consumption(
            database,
            settings.kafka_cluster(NAME),
            group=NAME,
            handlers=with_redrive(NAME, topics),
            cleanse={SIGNALS: partial(_cleanse, policy)},
            clock=clock,
            instance_id=settings.instance,
            kafka_required=False,  # the HTTP side goes on without it
        ),
        "relay": Relay(database.dsn, settings.kafka_cluster(NAME), NAME, clock),
        "timers": Ticker(database, handlers.fire, clock, wake.subscribe("timers")),
        **policies.components(),
        **await _start_heartbeats(settings, database),
        **_mail(settings, keys, commit, clock),
        "integrations": Registrar(policies.integrations, database, clock),
        "wake": wake,
        **await start_retention(NAME, settings, database, clock, AGING, periods, policies.intake),
    }
    await run_service(NAME, settings, app, database, components, niceness=_NICENESS)


def _mail(settings: Settings, keys: KeyRing, commit: GroupCommit, clock: Clock) -> Components:
    if settings.mail_listen is None:
        return {}
    certificate = settings.mail_certificate
    tls = (certificate, settings.mail_certificate_key) if certificate else None
    return {"mail": Listener(settings.mail_listen, keys.integration, commit.submit, clock, tls)}


async def _start_heartbeats(settings: Settings, database: Database) -> Components:
    file = settings.policy_dir / heartbeats.FILE
    policy = PolicyWatch(file, heartbeats.read_heartbeats, database, optional=True)
    await policy.start()
    return {
        "heartbeats_policy": policy,
        "heartbeats": PolicySync(database, lambda: policy.current, database.clock),
    }


class _Policies:
    """The files that intake follows."""

    def __init__(self, folder: Path, gateways: Sequence[str], database: Database) -> None:
        self.intake = PolicyWatch(folder / FILE, read_intake_policy, database, optional=True)
        read = partial(read_integrations, gateways=[MAIL, *gateways])
        self.integrations = PolicyWatch(folder / INTEGRATIONS_FILE, read, database, optional=True)
        self._mappings = PolicyWatch(
            folder / FOLDER, read_bundle, database, optional=True, load=bundle
        )
        self._signatures = PolicyWatch(
            folder / SIGNATURES, read_signatures, database, optional=True
        )

    async def start(self) -> None:
        """Raises InvalidPolicy where there is no good version of a file."""
        await self.intake.start()
        await self.integrations.start()
        await self._mappings.start()
        await self._signatures.start()
        self.of_gateways()  # reads what comes with Tocsin, before the first request waits for it

    def of_gateways(self) -> GatewayPolicy:
        """What is in force now."""
        return in_force(self._mappings.current.content, self._signatures.current.content)

    def components(self) -> dict[str, Component]:
        """By the name of each."""
        return {
            "policy": self.intake,
            "integrations_policy": self.integrations,
            "mappings": self._mappings,
            "signatures": self._signatures,
        }


def _incidents_api(
    settings: Settings, database: Database, handlers: Handlers, policies: _Policies
) -> APIRouter:
    """The API of incidents; that of decisions only where there is a token for it."""
    api = APIRouter()
    token = settings.api_token.get_secret_value() if settings.api_token else None
    api.include_router(alerts_router(database, token))
    if token is None:
        return api
    gateways, in_force_now = list(Registry.discover()), policies.of_gateways
    decisions = Decisions(database, handlers.preview, gateways, database.clock, in_force_now)
    api.include_router(decisions_router(decisions, token))
    return api


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
    mappings = read_bundle(bundle(settings.policy_dir / FOLDER)).content
    read = partial(in_force, mappings, read_signatures(b"").content)
    gateways = list(Registry.discover())
    return database, Decisions(database, handlers.preview, gateways, database.clock, read)


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
