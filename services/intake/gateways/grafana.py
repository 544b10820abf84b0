"""Grafana's webhook: unified alerting with its HMAC, and legacy alerting (until Grafana 10)."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field

from services.intake.gateways.domain.grafana import Envelope, read_notification
from services.intake.gateways.domain.signature import Signature
from services.intake.gateways.gateway import (
    BEARER_OR_BASIC,
    IN_PATH,
    Answer,
    Body,
    Gateway,
    Route,
    Submission,
)
from services.intake.signals.domain import Identity, Signal, Taken
from shared.events.cloudevents import load_json

MAX_BODY_BYTES = 32 * 1024 * 1024
SIGNATURE = Signature(header="X-Grafana-Alerting-Signature")


class GrafanaNotification(BaseModel):
    """Unified alerting lists `alerts`; legacy alerting has `ruleId` and `state`."""

    alerts: list[dict[str, Any]] | None = None
    groupKey: str | None = None
    truncatedAlerts: int | None = None
    ruleId: int | None = None
    ruleName: str | None = None
    state: str | None = None


class AcceptedNotification(BaseModel):
    """All alerts that the notification lists are committed."""

    accepted: int = Field(description="how many signals are committed")


def read_webhook(submission: Submission) -> list[Signal]:
    """The signals of one notification. Raises Malformed, and Problem for a wrong signature."""
    submission.check_signature(SIGNATURE)
    document = load_json(submission.body, "body", MAX_BODY_BYTES)
    origin = f"{submission.integration.name} grafana"
    envelope = Envelope(origin, submission.received_at, submission.trace)
    return read_notification(document, envelope)


def _render(signals: Sequence[Signal], _: Mapping[Identity, Taken]) -> dict[str, int]:
    return {"accepted": len(signals)}


GATEWAY = Gateway(
    "grafana",
    [
        Route(
            path=path,
            summary="Grafana's webhook, of unified and of legacy alerting.",
            method=method,
            bodies=[Body("application/json", GrafanaNotification, MAX_BODY_BYTES)],
            read=read_webhook,
            answer=Answer(200, AcceptedNotification, _render),
            authentication=authentication,
        )
        for path, authentication in (
            ("/v1/grafana", BEARER_OR_BASIC),
            ("/v1/grafana/{key}", IN_PATH),
        )
        for method in ("POST", "PUT")
    ],
)
