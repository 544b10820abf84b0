"""A notification about a group of alerts, and the signals in it.

Each alert is known by its fingerprint, whatever group it comes in; the group key names the group.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from services.intake.gateways.alertmanager.alerts import (
    MAX_ALERTS,
    MAX_BODY_BYTES,
    Key,
    Lenient,
    SentAlert,
    alert_data,
    bounded_key,
    fingerprint,
    text,
)
from services.intake.gateways.gateway import Submission
from services.intake.signals.domain import Group, Identity, Signal, Taken
from shared.events.cloudevents import Malformed, load_json
from shared.events.facts import first_problem
from shared.events.ids import uuid7

_ALL_RESOLVED = "all alerts resolved"
_SOME_FIRE = (
    "first notification",
    "new alerts added",
    "some alerts resolved",
    "repeat interval elapsed",
)


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


class AlertmanagerAlert(SentAlert):
    """One alert of a group."""

    # An odd status is trouble too: better a page too many than a group refused.
    status: Annotated[
        str, BeforeValidator(lambda value: "resolved" if value == "resolved" else "firing")
    ] = "firing"
    fingerprint: Key = ""

    @property
    def fires(self) -> bool:
        """Whether something is wrong."""
        return self.status == "firing"


class AlertmanagerWebhook(BaseModel):
    """A notification about a group of alerts; it may leave some out (`max_alerts`)."""

    model_config = ConfigDict(extra="ignore")

    version: Annotated[
        str, BeforeValidator(lambda value: "4" if value is None else text(value, 20))
    ] = "4"
    group_key: Key = Field(default="", alias="groupKey")
    truncated_alerts: Annotated[int, BeforeValidator(_count)] = Field(
        default=0, alias="truncatedAlerts"
    )
    notification_reason: Lenient = ""
    alerts: list[
        Annotated[
            AlertmanagerAlert,
            BeforeValidator(lambda value: value if isinstance(value, dict) else {}),
        ]
    ] = Field(min_length=1)


class AcceptedAlerts(BaseModel):
    """All alerts that the notification lists are committed."""

    accepted: int = Field(description="how many signals are committed")


def read_webhook(submission: Submission) -> list[Signal]:
    """The signals of one notification: alerts that fire before those that are resolved, so that one
    of them taking over from another leaves the incident open.

    A notification has no id of its own: each is a new signal, so a repeat counts in its incident.
    """
    document = load_json(submission.body, "body", MAX_BODY_BYTES)
    try:
        webhook = AlertmanagerWebhook.model_validate(document)
    except ValidationError as error:
        raise first_problem(error, "body") from None
    if webhook.version != "4":
        named = webhook.version
        raise Malformed("version", f'is "{named}"; this gateway takes version "4" of the webhook')
    alerts = sorted(webhook.alerts, key=lambda alert: not alert.fires)
    listed, others = alerts[:MAX_ALERTS], alerts[MAX_ALERTS:]
    group = _group(webhook, listed, others)
    # What ends the whole group comes last: until then each alert ends by itself.
    about_group = len(listed) - 1 if group.all_resolved else 0
    other = Group(key=group.key, is_told=False)
    return [
        _signal(submission, alert, group if place == about_group else other)
        for place, alert in enumerate(listed)
    ]


def _group(
    webhook: AlertmanagerWebhook,
    listed: Sequence[AlertmanagerAlert],
    others: Sequence[AlertmanagerAlert],
) -> Group:
    """The state of the whole group, with alerts that are not listed or beyond MAX_ALERTS.

    `status` says "resolved" while unlisted alerts fire; `notification_reason` (0.32) is exact.
    """
    key, reason = bounded_key(webhook.group_key), webhook.notification_reason
    firing = sum(alert.fires for alert in others)
    unlisted = webhook.truncated_alerts + firing
    if reason == _ALL_RESOLVED and not any(alert.fires for alert in listed):
        return Group(all_resolved=True, key=key)
    if firing or any(alert.fires for alert in listed):
        return Group(unlisted, all_resolved=False, key=key)
    if not unlisted:
        return Group(all_resolved=True, key=key)
    return Group(unlisted, all_resolved=False if reason in _SOME_FIRE else None, key=key)


def _signal(submission: Submission, alert: AlertmanagerAlert, group: Group) -> Signal:
    key = alert.fingerprint or fingerprint(alert.labels)
    return Signal(
        origin=f"{submission.integration.name} alertmanager",
        signal_id=str(uuid7()),
        sent_at=alert.starts_at or submission.received_at,
        received_at=submission.received_at,
        trace=submission.trace,
        # A firing alert has no end: Alertmanager sends an explicit resolve.
        data=alert_data(alert, "firing" if alert.fires else "resolved", key, ends_at=None),
        group=group,
    )


def accepted(signals: Sequence[Signal], _: Mapping[Identity, Taken]) -> dict[str, int]:
    """The answer once all is committed."""
    return {"accepted": len(signals)}
