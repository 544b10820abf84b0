"""Composition root of escalation: the only place where its objects are built."""

import os
from collections.abc import Mapping
from datetime import timedelta

from pydantic import BaseModel, ValidationError

from services.escalation.delivery.attempts import Attempts
from services.escalation.delivery.channel_registry import ChannelRegistry
from services.escalation.delivery.metrics import poll
from services.escalation.delivery.sender import Sender
from services.escalation.delivery.transport import Transport
from services.escalation.handlers import Handlers
from services.escalation.links import http as links_page
from services.escalation.links.domain import Links
from services.escalation.metrics import PAGE_METHOD
from services.escalation.policies.policy import FILE, read_teams
from services.escalation.response import http as api
from services.escalation.retention.policy import periods
from services.escalation.retention.store import AGING
from shared.events import commands, triage
from shared.events.validation import first_problem_in, plain_reason
from shared.http.app import create_app
from shared.kafka.consumption import Consumption
from shared.kafka.redrive import with_redrive
from shared.policy.watch import PolicyWatch
from shared.postgres.database import Database
from shared.postgres.relay import Relay
from shared.postgres.timers import Ticker
from shared.postgres.wake import Wake
from shared.runtime.clock import Clock
from shared.runtime.retention import start_retention
from shared.runtime.service import Component, run_service
from shared.runtime.settings import Settings, SettingsError, variable_of
from shared.runtime.variables import SecretFileError, value_of
from shared.telemetry import know_values

NAME = "escalation"
_LINGER_SECONDS = 0.1  # no page waits for these facts


async def run(settings: Settings) -> None:
    """Serve until SIGTERM. Raises SettingsError or InvalidPolicy when it cannot start."""
    links = Links(settings.secret_keys(), settings.public_url)
    token = settings.required("api_token")
    channels = ChannelRegistry.load()
    database = Database.of_service(settings.dsn(NAME), NAME)
    clock = database.clock
    transports = open_channels(channels, settings, clock)
    know_values(PAGE_METHOD, transports)
    methods = channels.methods(settings.allowed_networks)
    teams = PolicyWatch(
        settings.policy_dir / FILE, lambda data: read_teams(data, methods), database
    )
    await teams.start()
    wake = Wake(database.dsn, NAME)
    handlers = Handlers(database, lambda: teams.current, clock)
    attempts = Attempts(
        channels,
        transports,
        lambda: teams.current,
        links,
        settings.console_url,
        clock,
        timedelta(seconds=settings.webhook_timeout),
    )
    app = create_app("Tocsin escalation")
    app.include_router(api.make_router(database, handlers.respond, token))
    app.include_router(links_page.make_router(database, handlers.respond, clock, links))
    components: dict[str, Component] = {
        "consumption": _consumption(database, handlers, settings, clock),
        "relay": _relay(database, settings, clock),
        "timers": Ticker(database, handlers.fire, clock, wake.subscribe("timers")),
        "sender": Sender(
            database, attempts, lambda: teams.current, clock, wake.subscribe("deliveries")
        ),
        "policy": teams,
        "wake": wake,
        **await start_retention(NAME, settings, database, clock, AGING, periods),
    }
    await run_service(NAME, settings, app, database, components, gauge_queries=[poll])


def _consumption(
    database: Database, handlers: Handlers, settings: Settings, clock: Clock
) -> Consumption:
    topics = {triage.TOPIC: handlers.on_triage, commands.TOPIC: handlers.on_command}
    return Consumption(
        database,
        settings.kafka_cluster(NAME),
        group=NAME,
        handlers=with_redrive(NAME, topics),
        deciders={triage.TOPIC: handlers.start_responses},
        clock=clock,
        instance_id=settings.instance,
    )


def _relay(database: Database, settings: Settings, clock: Clock) -> Relay:
    return Relay(database.dsn, settings.kafka_cluster(NAME), NAME, clock, linger=_LINGER_SECONDS)


def open_channels(
    channels: ChannelRegistry, settings: Settings, clock: Clock
) -> Mapping[str, Transport]:
    """The channels that are set up here, by name. Raises SettingsError."""
    opened = {}
    for channel in channels:
        transport = channel.open(_settings_of(channel.settings, settings), clock)
        if transport is not None:
            opened[channel.name] = transport
    return opened


def _settings_of(kind: type[BaseModel], settings: Settings) -> BaseModel:
    """The variables of a channel: those that every service knows, and those of its own."""
    values = {}
    try:
        for name in kind.model_fields:
            if name in Settings.model_fields:
                values[name] = getattr(settings, name)
            elif (value := value_of(os.environ, variable_of(name))) is not None:
                values[name] = value
        return kind.model_validate(values)
    except SecretFileError as error:
        raise SettingsError(str(error)) from None
    except ValidationError as error:
        problem = first_problem_in(error)
        variable = variable_of(str(problem["loc"][0]))
        raise SettingsError(f"{variable}: {plain_reason(problem)}") from None
