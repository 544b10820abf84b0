"""Heartbeats over HTTP: POST is a beat; GET and HEAD only read, so that who follows a link (a mail
scanner, a browser that fetches ahead) changes nothing.
"""

from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError
from starlette.responses import Response

from services.intake.gateways.gateway import Answer, Desk, Gateway, Route, Submission
from services.intake.signals.domain import Heartbeat, HeartbeatData
from shared.events.facts import first_problem
from shared.http.app import JsonResponse, Problem


class HeartbeatState(BaseModel):
    """A heartbeat and its state."""

    name: str
    status: Literal["disabled", "missed", "beating", "new"]
    managed_by: Literal["policy", "operator", "sender"]
    every_seconds: float
    grace_seconds: float
    last_beat_at: datetime | None
    due_at: datetime | None = Field(
        description="when it counts as missed; once it is, when it is reported again"
    )
    missed_at: datetime | None


class Beat(BaseModel):
    """A beat that is committed."""

    heartbeat: str


async def beat(desk: Desk, sent: Submission) -> Response:
    """It is alive."""
    name = _name(sent)
    if not await desk.beat(name, sent):
        raise _unknown(name)
    return JsonResponse({"heartbeat": name})


async def read(desk: Desk, sent: Submission) -> Response:
    """Its state."""
    name = _name(sent)
    found = await desk.heartbeats.find(name)
    if found is None:
        raise _unknown(name)
    return JsonResponse(_state(found))


def _name(sent: Submission) -> str:
    try:
        return HeartbeatData(name=sent.path["name"]).name
    except ValidationError as error:
        raise first_problem(error, "path") from None


def _unknown(name: str) -> Problem:
    detail = f"there is no heartbeat `{name}`; make it with `tocsin intake heartbeats create`"
    return Problem(404, "Not found", detail, field="name")


def _state(heartbeat: Heartbeat) -> dict[str, Any]:
    settings = heartbeat.settings
    state = asdict(heartbeat) | {
        "status": heartbeat.status,
        "every_seconds": settings.every.total_seconds(),
        "grace_seconds": settings.grace.total_seconds(),
    }
    return {name: state[name] for name in HeartbeatState.model_fields}


_PATH = "/v1/heartbeats/{name}"
GATEWAY = Gateway(
    "heartbeats",
    [
        Route(
            path=_PATH,
            summary="A beat of a heartbeat. A body is not read.",
            respond=beat,
            answer=Answer(200, Beat),
        ),
        Route(
            path=_PATH,
            summary="The state of a heartbeat; to read it changes nothing.",
            method="GET",
            respond=read,
            answer=Answer(200, HeartbeatState),
        ),
    ],
)
