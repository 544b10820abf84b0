"""Alerts that are posted: which fire, until when, and which are over."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import Field
from starlette.responses import Response

from services.intake.gateways.alertmanager.alerts import (
    MAX_ALERTS,
    MAX_BODY_BYTES,
    SentAlert,
    Time,
    alert_data,
    fingerprint,
    text,
)
from services.intake.gateways.alertmanager_api.clocks import Announced, SlowClocks
from services.intake.gateways.gateway import Desk, Submission
from services.intake.signals.domain import KnownAlert, Signal
from shared.events.cloudevents import Malformed, load_json
from shared.events.ids import uuid7
from shared.events.times import read_time
from shared.http.problems import Problem

GATEWAY_NAME = "alertmanager-api"
RESOLVE_TIMEOUT = timedelta(minutes=5)
"""How long an alert fires whose sender announces no end; Alertmanager's default. The settings of an
integration go before it.
"""
ANNOUNCED_END = "announced_end"
"""The annotation with the end that a sender with a slow clock announced, and when that arrived."""
_LARGE = 256 * 1024
_MAX_NAMED = 10


class PostedAlert(SentAlert):
    """One alert as posted, whatever its sender wrote into it."""

    ends_at: Time = Field(default=None, alias="endsAt")


@dataclass(frozen=True, slots=True)
class Posted:
    """An alert, and the fingerprint of the labels that were sent."""

    alert: PostedAlert
    key: str


def origin_of(submission: Submission) -> str:
    """Whose alerts an integration's are."""
    return f"{submission.integration.name} {GATEWAY_NAME}"


async def take_alerts(clocks: SlowClocks, desk: Desk, submission: Submission) -> Response:
    """Commit the good alerts; then name the bad ones, with 400, as Alertmanager does.

    Dying before the commit loses nothing that was promised. Dying after it, before the answer,
    makes the sender repeat alerts that are known by their labels.
    """
    if len(submission.body) > _LARGE:
        posted, faults = await asyncio.to_thread(read_alerts, submission)
    else:
        posted, faults = read_alerts(submission)
    known = await _known(desk, submission, posted)
    signals = [_signal(submission, one, clocks, known.get(one.key)) for one in posted]
    if signals:
        await desk.submit(signals)
    if faults:
        raise Problem(400, "Invalid alerts", "; ".join(faults), field="body")
    return Response(status_code=200)


def read_alerts(submission: Submission) -> tuple[list[Posted], list[str]]:
    """The alerts of a request, and what is wrong with others. Raises Malformed when it is no list
    of alerts.
    """
    documents = load_json(submission.body, "body", MAX_BODY_BYTES)
    if not isinstance(documents, list | None):
        raise Malformed("body", "must be a JSON array of alerts")
    posted: list[Posted] = []
    faults: list[str] = []
    for place, document in enumerate((documents or [])[:MAX_ALERTS]):
        labels = _labels(document)
        if labels:
            alert = PostedAlert.model_validate(document | {"labels": labels})
            posted.append(Posted(alert, fingerprint(labels)))
        else:
            faults.append(f"[{place}].labels: at least one label with a value is required")
    if len(faults) > _MAX_NAMED:
        faults[_MAX_NAMED:] = [f"and {len(faults) - _MAX_NAMED} more"]
    if (left := len(documents or []) - MAX_ALERTS) > 0:
        faults.append(f"body: {left} alerts beyond the first {MAX_ALERTS} were not taken")
    return posted, faults


def _labels(document: Any) -> dict[str, str]:
    """All labels that have a value, whatever they hold."""
    labels = document.get("labels") if isinstance(document, dict) else None
    if not isinstance(labels, Mapping):
        return {}
    named = (
        (name.replace("\x00", ""), text(value, MAX_BODY_BYTES)) for name, value in labels.items()
    )
    return {name: value for name, value in named if name and value}


async def _known(
    desk: Desk, submission: Submission, posted: Sequence[Posted]
) -> dict[str, KnownAlert]:
    """What is known of the alerts whose announced end has passed."""
    ended = {one.key for one in posted if _has_ended(one.alert, submission.received_at)}
    if not ended:
        return {}
    found = await desk.alerts(origin_of(submission), sorted(ended))
    return {alert.key: alert for alert in found}


def _has_ended(alert: PostedAlert, now: datetime) -> bool:
    return alert.ends_at is not None and alert.ends_at <= now


def _signal(
    submission: Submission, posted: Posted, clocks: SlowClocks, known: KnownAlert | None
) -> Signal:
    alert, now, origin = posted.alert, submission.received_at, origin_of(submission)
    status: Literal["firing", "resolved"] = "firing"
    ends_at = alert.ends_at or _default_end(submission)
    if alert.ends_at and alert.ends_at <= now:
        announced = Announced(alert.starts_at, alert.ends_at, now)
        if clocks.fires(origin, posted.key, announced, _stored(known, alert)):
            alert, ends_at = _with_note(alert, announced), now + RESOLVE_TIMEOUT
        else:
            status = "resolved"
    return Signal(
        origin=origin,
        signal_id=str(uuid7()),
        sent_at=alert.starts_at or now,
        received_at=now,
        trace=submission.trace,
        data=alert_data(alert, status, posted.key, ends_at if status == "firing" else None),
    )


def _default_end(submission: Submission) -> datetime | None:
    """Until when an alert fires whose sender announces no end, unless its settings say that."""
    sender = submission.integration
    if sender.expire_after or not sender.sends_resolved:
        return None
    return submission.received_at + RESOLVE_TIMEOUT


def _stored(known: KnownAlert | None, alert: PostedAlert) -> Announced | None:
    """What an alert that fires has announced, by the note that was kept with it."""
    if known is None or known.status == "resolved":
        return None
    times = known.annotations.get(ANNOUNCED_END, "").partition(" at ")
    ends_at, at = read_time(times[0]), read_time(times[2])
    return Announced(alert.starts_at, ends_at, at, fires=True) if ends_at and at else None


def _with_note(alert: PostedAlert, announced: Announced) -> PostedAlert:
    behind = round((announced.at - announced.ends_at).total_seconds() / 60)
    note = {
        ANNOUNCED_END: f"{announced.ends_at.isoformat()} at {announced.at.isoformat()}",
        "sender_clock": f"the sender's clock is slow, by more than {behind} min",
    }
    return alert.model_copy(update={"annotations": alert.annotations | note})
