"""Composition root of escalation: the only place where its objects are built."""

from collections.abc import Mapping
from datetime import timedelta

from services.escalation.delivery.attempts import Attempts
from services.escalation.delivery.channels.both import Channel, MailChannel, WebhookChannel
from services.escalation.delivery.domain.egress import webhook_check
from services.escalation.delivery.sender import Sender
from services.escalation.handlers import Handlers
from services.escalation.links import http as links_page
from services.escalation.links.domain import Links
from services.escalation.metrics import PAGE_METHOD
from services.escalation.people.policy import Method
from services.escalation.policies.policy import FILE, read_teams
from services.escalation.response import figures
from services.escalation.response import http as api
from services.escalation.ticker import Steps
from shared.events import commands, triage
from shared.http.app import create_app
from shared.kafka.consumption import Consumption
from shared.kafka.redrive import with_redrive
from shared.policy.watch import PolicyWatch
from shared.postgres.database import Database
from shared.postgres.relay import Relay
from shared.postgres.timers import Ticker
from shared.postgres.wake import Wake
from shared.runtime.clock import Clock, system_clock
from shared.runtime.service import Component, run_service
from shared.runtime.settings import Settings, SettingsError
from shared.telemetry import know_values

NAME = "escalation"
_LINGER_SECONDS = 0.1  # no page waits for these facts


async def run(settings: Settings) -> None:
    """Serve until told to stop. Raises SettingsError or InvalidPolicy when it cannot start."""
    clock = system_clock
    links = Links(settings.required("secret_key"), settings.public_url)
    token = settings.required("api_token")
    channels = make_channels(settings, clock)
    know_values(PAGE_METHOD, channels)
    database = Database(settings.dsn(NAME), application=f"tocsin-{NAME}")
    check = webhook_check(settings.allowed_networks)
    teams = PolicyWatch(settings.policy_dir / FILE, lambda data: read_teams(data, check), database)
    await teams.start()
    wake = Wake(database.dsn, NAME)
    handlers = Handlers(lambda: teams.current, clock)
    steps = Steps(lambda: teams.current, clock)
    timeout = timedelta(seconds=settings.webhook_timeout)
    attempts = Attempts(
        channels, lambda: teams.current, links, settings.console_url, clock, timeout
    )
    app = create_app("Tocsin escalation")
    app.include_router(api.make_router(database, clock, token))
    app.include_router(links_page.make_router(database, clock, links))
    components: dict[str, Component] = {
        "consumption": Consumption(
            database,
            bootstrap=settings.kafka,
            group=NAME,
            handlers=with_redrive(
                NAME, {triage.TOPIC: handlers.on_triage, commands.TOPIC: handlers.on_command}
            ),
            clock=clock,
            topic_prefix=settings.topic_prefix,
            instance_id=settings.instance,
        ),
        "relay": Relay(
            database.dsn, settings.kafka, NAME, clock, settings.topic_prefix, linger=_LINGER_SECONDS
        ),
        "timers": Ticker(database, steps.fire, clock, wake.subscribe("timers")),
        "sender": Sender(
            database, attempts, lambda: teams.current, clock, wake.subscribe("deliveries")
        ),
        "policy": teams,
        "wake": wake,
    }
    await run_service(NAME, settings, app, database, components, gauge_queries=[figures.poll])


def make_channels(settings: Settings, clock: Clock) -> Mapping[Method, Channel]:
    """The methods that have their settings. Raises SettingsError for a secret that is none."""
    channels: dict[Method, Channel] = {}
    if settings.webhook_secret is not None:
        secrets = settings.webhook_secret.get_secret_value()
        try:
            channels["webhook"] = WebhookChannel(
                secrets, settings.allowed_networks, settings.webhook_timeout, clock
            )
        except (ValueError, RuntimeError):
            raise SettingsError(
                "TOCSIN_WEBHOOK_SECRET: one or two secrets as whsec_<base64>"
            ) from None
    if settings.smtp is not None:
        channels["email"] = MailChannel(
            settings.smtp.get_secret_value(), settings.smtp_from, settings.webhook_timeout
        )
    return channels
