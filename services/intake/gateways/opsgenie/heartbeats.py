"""Opsgenie's calls about heartbeats (https://docs.opsgenie.com/docs/heartbeat-api).

A ping is a beat whatever the method, as there. One of an unknown name is answered like the others.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from math import ceil
from typing import Any
from uuid import uuid4

from pydantic import BaseModel, ValidationError
from starlette.responses import Response

from services.intake.gateways.domain.texts import load_object, text
from services.intake.gateways.gateway import Desk, Submission
from services.intake.gateways.opsgenie.alerts import SEVERITY, time_of
from services.intake.gateways.opsgenie.answers import (
    accepted,
    done,
    found,
    not_found,
    not_processable,
)
from services.intake.gateways.opsgenie.bodies import MAX_BODY_BYTES, Fields, required, tags
from services.intake.signals.domain import (
    Heartbeat,
    HeartbeatData,
    HeartbeatRefused,
    HeartbeatSettings,
)
from shared.events.facts import first_problem

Respond = Callable[[Desk, Submission], Awaitable[Response]]

_UNITS = {"minutes": timedelta(minutes=1), "hours": timedelta(hours=1), "days": timedelta(days=1)}


class OpsgenieHeartbeat(BaseModel):
    """A heartbeat, as it is made or changed."""

    name: str = ""
    description: str = ""
    interval: int
    intervalUnit: str
    enabled: bool = True
    alertMessage: str = ""
    alertTags: list[str] = []
    alertPriority: str = ""
    ownerTeam: dict[str, str] = {}


async def ping(desk: Desk, submission: Submission) -> Response:
    """It is alive."""
    await desk.beat(_name(submission.path["name"]), submission)
    return accepted(str(uuid4()), "PONG - Heartbeat received")


async def create(desk: Desk, submission: Submission) -> Response:
    """Expect a heartbeat from now on, or change the one that has the name."""
    fields = load_object(submission.body, MAX_BODY_BYTES)
    name = _name(required(fields, "name"))
    return found(_summary(await _save(desk, name, _settings(fields, None))), 201)


async def update(desk: Desk, submission: Submission) -> Response:
    """Change what is sent, and leave the rest as it is."""
    known = await _known(desk, submission)
    settings = _settings(load_object(submission.body, MAX_BODY_BYTES), known.settings)
    return found(_summary(await _save(desk, known.name, settings)))


def switch(*, enabled: bool) -> Respond:
    """Expect it from now on, or no more."""

    async def respond(desk: Desk, submission: Submission) -> Response:
        known = await _known(desk, submission)
        settings = known.settings.model_copy(update={"enabled": enabled})
        return found(_summary(await _save(desk, known.name, settings)))

    return respond


async def get(desk: Desk, submission: Submission) -> Response:
    """One heartbeat."""
    return found(_details(await _known(desk, submission)))


async def get_all(desk: Desk, _: Submission) -> Response:
    """All heartbeats."""
    return found({"heartbeats": [_details(one) for one in await desk.heartbeats.list()]})


async def delete(desk: Desk, submission: Submission) -> Response:
    """Expect it no more."""
    known = await _known(desk, submission)
    try:
        await desk.heartbeats.delete(known.name)
    except HeartbeatRefused as refused:
        raise not_processable("name", str(refused)) from None
    return done("Deleted")


def _name(given: str) -> str:
    try:
        return HeartbeatData(name=given).name
    except ValidationError as error:
        raise not_processable("name", first_problem(error, "name").reason) from None


async def _known(desk: Desk, submission: Submission) -> Heartbeat:
    known = await desk.heartbeats.find(_name(submission.path["name"]))
    if known is None:
        raise not_found("Heartbeat")
    return known


async def _save(desk: Desk, name: str, settings: HeartbeatSettings) -> Heartbeat:
    try:
        return await desk.heartbeats.save(name, settings)
    except HeartbeatRefused as refused:
        raise not_processable("name", str(refused)) from None


def _settings(fields: Fields, before: HeartbeatSettings | None) -> HeartbeatSettings:
    """The settings that are sent; those of `before` where they are not."""
    settings: dict[str, Any] = before.model_dump() if before else {}
    if before is None or "interval" in fields or "intervalUnit" in fields:
        settings["every"] = _every(fields, before)
    if isinstance(fields.get("enabled"), bool):
        settings["enabled"] = fields["enabled"]
    for ours, theirs, length in (("summary", "alertMessage", 1024), ("description",) * 2 + (4096,)):
        if theirs in fields:
            settings[ours] = text(fields[theirs], length).strip() or None
    if priority := text(fields.get("alertPriority"), 64).strip().upper():
        settings["severity"] = SEVERITY.get(priority)
    settings["labels"] = dict(settings.get("labels", {})) | _labels(fields)
    try:
        return HeartbeatSettings.model_validate(settings)
    except ValidationError as error:
        problem = first_problem(error, "interval")
        raise not_processable("interval", problem.reason) from None


def _every(fields: Fields, before: HeartbeatSettings | None) -> timedelta:
    interval, unit = _interval(before.every) if before else (None, None)
    interval = fields.get("interval", interval)
    if not isinstance(interval, int) or isinstance(interval, bool) or not 1 <= interval <= 600_000:
        raise not_processable("interval", "is missing, or no whole number from 1 on")
    unit = fields.get("intervalUnit", unit)
    if not isinstance(unit, str) or unit not in _UNITS:
        raise not_processable("intervalUnit", f"must be one of {', '.join(_UNITS)}")
    return interval * _UNITS[unit]


def _labels(fields: Fields) -> dict[str, str]:
    team = fields.get("ownerTeam")
    name = text(team.get("name"), 255) if isinstance(team, dict) else ""
    labels = {"team": name, "tags": ",".join(tags(fields.get("alertTags")))}
    return {label: value for label, value in labels.items() if value}


def _interval(every: timedelta) -> tuple[int, str]:
    """A time as a number and its unit; of one between whole minutes, the next."""
    for unit in ("days", "hours"):
        if every % _UNITS[unit] == timedelta(0):
            return every // _UNITS[unit], unit
    return ceil(every / _UNITS["minutes"]), "minutes"


def _summary(heartbeat: Heartbeat) -> dict[str, Any]:
    return {
        "name": heartbeat.name,
        "enabled": heartbeat.settings.enabled,
        "expired": heartbeat.status == "missed",
    }


def _details(heartbeat: Heartbeat) -> dict[str, Any]:
    interval, unit = _interval(heartbeat.settings.every)
    beaten = heartbeat.last_beat_at
    return _summary(heartbeat) | {
        "description": heartbeat.settings.description or "",
        "interval": interval,
        "intervalUnit": unit,
        "lastPingTime": time_of(beaten) if beaten else "",
        "alertMessage": heartbeat.settings.summary or "",
    }
