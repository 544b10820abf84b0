"""What the API takes and answers, as its OpenAPI document has it."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.alias_generators import to_camel
from starlette.responses import Response

from shared.http.problems import JsonResponse, Problem

_TEXT_STATUSES = (400, 500)


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class PostableAlert(_Model):
    """An alert as senders post it. It fires until `endsAt`, or until it should have been sent
    again.
    """

    labels: dict[str, str]
    annotations: dict[str, str] = {}
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    generator_url: str = Field(default="", alias="generatorURL")


class Receiver(_Model):
    """Where alerts go."""

    name: str


class AlertStatus(_Model):
    """Whether an alert is shown to people."""

    state: Literal["active"] = "active"
    silenced_by: list[str] = []
    inhibited_by: list[str] = []
    muted_by: list[str] = []


class GettableAlert(_Model):
    """An alert as it is known."""

    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime
    ends_at: datetime
    updated_at: datetime
    fingerprint: str
    receivers: list[Receiver]
    status: AlertStatus = AlertStatus()
    generator_url: str = Field(default="", alias="generatorURL")


class GettableGroup(_Model):
    """Alerts of one incident, and the labels in which they agree."""

    labels: dict[str, str]
    receiver: Receiver
    alerts: list[GettableAlert]


class ClusterStatus(_Model):
    """Alertmanagers that speak with each other: never."""

    status: Literal["disabled"] = "disabled"
    peers: list[str] = []


class Status(_Model):
    """What the server says of itself."""

    cluster: ClusterStatus = ClusterStatus()
    version_info: dict[str, str]
    config: dict[str, str]
    uptime: datetime


class Fault(_Model):
    """An error, where it is no text."""

    code: int
    message: str


FAULT = {
    "description": "What is wrong. 503 comes with Retry-After.",
    "content": {"application/json": {"schema": TypeAdapter(str | Fault).json_schema()}},
}
"""Every error answer, as OpenAPI describes a response."""


def refuse(problem: Problem) -> Response:
    """Alertmanager's own errors: a JSON string, or an object with code and message where its API
    describes no answer of that status.
    """
    content: object = problem.detail
    if problem.status not in _TEXT_STATUSES:
        content = {"code": problem.status, "message": problem.detail}
    return JsonResponse(content, problem.status, problem.headers)
