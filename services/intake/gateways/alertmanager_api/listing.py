"""What the API tells of alerts that fire, and of itself."""

import asyncio
from collections.abc import Sequence
from importlib.metadata import version
from itertools import groupby

from pydantic import BaseModel
from starlette.responses import PlainTextResponse, Response

from services.intake.gateways.alertmanager_api.answers import (
    GettableAlert,
    GettableGroup,
    Receiver,
    Status,
)
from services.intake.gateways.alertmanager_api.matchers import (
    MAX_MATCHERS,
    read_matcher,
    read_pattern,
)
from services.intake.gateways.alertmanager_api.taking import RESOLVE_TIMEOUT, origin_of
from services.intake.gateways.gateway import Desk, Submission
from services.intake.signals.domain import KnownAlert
from shared.events.malformed import Malformed
from shared.http.problems import JsonResponse
from shared.runtime.clock import system_clock

RECEIVER = Receiver(name="tocsin")
_CONFIG = "route:\n  receiver: tocsin\nreceivers:\n- name: tocsin\n"
_STARTED_AT = system_clock()
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


async def list_alerts(desk: Desk, submission: Submission) -> Response:
    """The integration's alerts that fire."""
    found = await _wanted(desk, submission)
    return await asyncio.to_thread(_alerts, found, submission)


async def list_groups(desk: Desk, submission: Submission) -> Response:
    """The same by incident, each group with the labels in which its alerts agree."""
    found = await _wanted(desk, submission)
    return await asyncio.to_thread(_groups, found, submission)


async def list_receivers(_: Desk, __: Submission) -> Response:
    """All alerts go to one."""
    return _json([RECEIVER])


async def list_silences(_: Desk, __: Submission) -> Response:
    """There are none."""
    return _json([])


async def show_status(_: Desk, __: Submission) -> Response:
    """Version and uptime. amtool reads the routes from a configuration that has none."""
    names = ("branch", "buildDate", "buildUser", "goVersion", "revision")
    info = {"version": version("tocsin"), **dict.fromkeys(names, "")}
    return _json(Status(version_info=info, config={"original": _CONFIG}, uptime=_STARTED_AT))


async def say_ok(_: Desk, __: Submission) -> Response:
    """It answers; and that the key was checked shows that the database does."""
    return PlainTextResponse("OK")


async def _wanted(desk: Desk, submission: Submission) -> Sequence[KnownAlert]:
    """The alerts that the query asks for. All of them are active: nothing is silenced here."""
    query = submission.query
    written = query.getlist("filter")
    if len(written) > MAX_MATCHERS:
        raise Malformed("filter", f"may be given {MAX_MATCHERS} times")
    matchers = [read_matcher(one) for one in written]
    receiver = read_pattern("receiver", query.get("receiver") or ".*")
    flags = {name: _flag(name, query.get(name)) for name in ("active", "silenced", "inhibited")}
    if not flags["active"] or not receiver(RECEIVER.name):
        return []
    known = await desk.open_alerts(origin_of(submission))
    firing = [alert for alert in known if alert.status != "resolved"]
    return [one for one in firing if all(matcher.matches(one.labels) for matcher in matchers)]


def _alerts(found: Sequence[KnownAlert], submission: Submission) -> Response:
    return _json([_gettable(alert, submission) for alert in found])


def _groups(found: Sequence[KnownAlert], submission: Submission) -> Response:
    ordered = sorted(found, key=_number)
    return _json(
        [
            GettableGroup(
                labels=_common_labels(alerts),
                receiver=RECEIVER,
                alerts=[_gettable(alert, submission) for alert in alerts],
            )
            for alerts in (list(group) for _, group in groupby(ordered, key=_number))
        ]
    )


def _number(alert: KnownAlert) -> int:
    return alert.number


def _flag(name: str, value: str | None) -> bool:
    if value is None or value.lower() in _BOOLEANS:
        return value is None or _BOOLEANS[value.lower()]
    raise Malformed(name, "must be true or false")


def _gettable(alert: KnownAlert, submission: Submission) -> GettableAlert:
    return GettableAlert(
        labels=alert.labels,
        annotations=alert.annotations,
        starts_at=alert.started_at,
        ends_at=alert.ends_at or submission.received_at + RESOLVE_TIMEOUT,
        updated_at=alert.updated_at,
        fingerprint=alert.key,
        receivers=[RECEIVER],
        generator_url=alert.links[0] if alert.links else "",
    )


def _common_labels(alerts: Sequence[KnownAlert]) -> dict[str, str]:
    first, *others = (alert.labels.items() for alert in alerts)
    return dict(first) if not others else dict(set(first).intersection(*others))


def _json(content: BaseModel | Sequence[BaseModel]) -> Response:
    if isinstance(content, BaseModel):
        return JsonResponse(content.model_dump(by_alias=True))
    return JsonResponse([one.model_dump(by_alias=True) for one in content])
