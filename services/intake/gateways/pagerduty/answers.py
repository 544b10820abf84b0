"""Whose event it is, and PagerDuty's answers to events that are not taken."""

from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import Response

from services.intake.gateways.domain.texts import load_object
from services.intake.gateways.gateway import MAKE_ONE, Authentication
from shared.http.problems import JsonResponse, Problem

MAX_BODY_BYTES = 512 * 1024


class Refusal(BaseModel):
    """What is wrong."""

    status: str = Field(examples=["invalid event"])
    message: str
    errors: list[str] = []


PROBLEM = {
    "description": "What is wrong. 429 (403 in version 1) and 5xx: send it again.",
    "content": {"application/json": {"schema": Refusal.model_json_schema()}},
}


def key_in_body(field: str) -> Authentication:
    """The integration key in a field of the body."""

    def find(body: bytes) -> str | None:
        key = load_object(body, MAX_BODY_BYTES).get(field)
        return key if isinstance(key, str) else None

    described = {"type": "apiKey", "in": "header", "name": field}
    return Authentication(
        f"PagerDuty_{field}",
        {**described, "description": f"an integration key, in the body's `{field}`"},
        f"{field}: is not an integration key that is known here; {MAKE_ONE}",
        in_body=find,
    )


def refuse(problem: Problem, too_many: int = 429) -> Response:
    """The answer to an event that is not taken. Senders repeat it after `too_many` and 5xx, and
    never after 400.
    """
    if problem.status == 429:
        return Response(status_code=too_many, headers=problem.headers)
    status, detail = problem.status, problem.detail
    if status == 401:
        status, detail = 400, detail.removeprefix("Authorization: ")
    body: dict[str, Any] = {"status": "error", "message": detail}
    if status < 500:
        message = "Event object is invalid"
        body = {"status": "invalid event", "message": message, "errors": [detail]}
    return JsonResponse(body, status, problem.headers if status != 400 else None)
