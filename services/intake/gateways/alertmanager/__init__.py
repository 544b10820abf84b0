"""Alertmanager's webhook, version 4
(https://prometheus.io/docs/alerting/latest/configuration/#webhook_config).
"""

from dataclasses import replace

from services.intake.gateways.alertmanager.alerts import MAX_ALERTS, MAX_BODY_BYTES
from services.intake.gateways.alertmanager.webhook import (
    AcceptedAlerts,
    AlertmanagerWebhook,
    accepted,
    read_webhook,
)
from services.intake.gateways.gateway import (
    BEARER_OR_BASIC,
    IN_PATH,
    Answer,
    Authentication,
    Body,
    Gateway,
    Route,
)

__all__ = ["GATEWAY", "MAX_ALERTS", "read_webhook"]


def _route(path: str, authentication: Authentication) -> Route:
    return Route(
        path=path,
        summary="Alertmanager's webhook, version 4.",
        bodies=[Body("application/json", AlertmanagerWebhook, MAX_BODY_BYTES)],
        read=read_webhook,
        answer=Answer(200, AcceptedAlerts, accepted),
        authentication=authentication,
    )


GATEWAY = Gateway(
    "alertmanager",
    [
        _route("/v1/alertmanager", BEARER_OR_BASIC),
        replace(_route("/v1/alertmanager/{key}", IN_PATH), described=False),
    ],
)
