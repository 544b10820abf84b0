"""Signals and what they do to incidents, in memory."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from starlette.datastructures import QueryParams

from services.intake.gateways.gateway import Submission
from services.intake.incidents.domain.fold import fold_alerts
from services.intake.incidents.domain.grouping import group_alerts
from services.intake.incidents.domain.incident import BatchResult, Incident, Member
from services.intake.incidents.domain.meeting import Met, wanted_members
from services.intake.incidents.policy import IntakePolicy
from services.intake.integrations.domain import Integration
from services.intake.signals.domain import (
    Alert,
    AlertData,
    Group,
    KnownAlert,
    Signal,
    Wanted,
    as_alert,
)
from shared.events.headers import Headers

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
POLICY = IntakePolicy(
    update_interval=timedelta(seconds=10),
    expiry_grace=timedelta(minutes=2),
    unlisted_timeout=timedelta(hours=5),
)
_ids = count(1)


def submission(
    body: bytes = b"",
    content_type: str = "application/json",
    headers: Headers = (),
    *,
    path: Mapping[str, str] | None = None,
    query: str = "",
) -> Submission:
    """A request of the integration `key`, received at noon."""
    parameters = QueryParams(query)
    sender = Integration(name="key")
    return Submission(sender, path or {}, parameters, content_type, headers, body, NOON, None)


async def no_alerts(_: str, __: Wanted) -> list[KnownAlert]:
    """A lookup where nothing is known."""
    return []


def alert(
    status: str = "firing",
    *,
    at: datetime = NOON,
    signal_id: str | None = None,
    group: Group | None = None,
    **data: Any,
) -> Alert:
    body = AlertData(
        **{"summary": "disk full", "service": "checkout", "key": "disk", "status": status, **data}
    )
    made = as_alert(Signal("probe", signal_id or f"s{next(_ids)}", at, at, None, body, group))
    assert made is not None
    return made


def take(
    alerts: list[Alert],
    before: BatchResult | None = None,
    now: datetime = NOON,
    epoch: int = 0,
    policy: IntakePolicy = POLICY,
) -> BatchResult:
    """What alerts do after all that happened `before`; the result has all members and ended
    incidents known so far.
    """
    known = {**before.opened, **before.changed} if before else {}
    opened = [one for one in known.values() if one.status == "open"]
    by_number = sorted(known.values(), key=lambda one: one.number)
    ended = {one.fingerprint: one.episodes for one in by_number if one.status != "open"}
    members = dict(before.members) if before else {}
    items = group_alerts(alerts, policy)
    named, groups = wanted_members(items, opened)
    given = {
        key: member
        for key, member in members.items()
        if key in named or (key[0] in groups and member.firing) or member.identity
    }
    counts = Counter(one.service for one in opened if one.service)
    met = Met(opened, given, ended, counts)
    result = fold_alerts(items, met, count(1000 + len(known)), policy, epoch, now)
    result.members = members | result.members
    result.changed = {**known, **result.changed}
    for key in result.opened:
        result.changed.pop(key, None)
    return result


def only(result: BatchResult) -> Incident:
    (incident,) = {**result.opened, **result.changed}.values()
    return incident


def kinds(result: BatchResult) -> list[type]:
    return [type(event.fact) for event in result.events]


def decisions(result: BatchResult) -> list[str]:
    return [taken.decision for _, taken in result.decisions]


def brief(member: Member) -> tuple[bool, datetime | None, int]:
    """Whether an alert fires, until when, and for how many it stands."""
    return member.firing, member.ends_at, member.stands_for
