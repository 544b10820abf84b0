"""Opsgenie's answers."""

from typing import Any
from uuid import uuid4

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from services.intake.gateways.gateway import MAKE_ONE, Authentication
from shared.http.problems import JsonResponse, Problem

_NOT_PROCESSABLE = "Request body is not processable. Please check the errors."


class Accepted(BaseModel):
    """What was asked for is committed; the request's status says what came of it."""

    result: str = "Request will be processed"
    took: float = Field(default=0.0, description="seconds")
    requestId: str


class Found(BaseModel):
    """What was asked for."""

    data: Any
    took: float = Field(default=0.0, description="seconds")
    requestId: str


class Refusal(BaseModel):
    """What is wrong."""

    message: str
    errors: dict[str, str] = Field(default={}, description="reasons by field, with 422")
    took: float = Field(default=0.0, description="seconds")
    requestId: str


PROBLEM = {
    "description": "What is wrong. 429 and 503 come with Retry-After: send it again.",
    "content": {"application/json": {"schema": Refusal.model_json_schema()}},
}


def _genie_key(request: Request) -> str | None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "geniekey" and key.strip() else None


GENIE_KEY = Authentication(
    "GenieKey",
    {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`GenieKey <integration key>`",
    },
    f"send `GenieKey <integration key>`; {MAKE_ONE}",
    in_headers=_genie_key,
)


def accepted(request_id: str, result: str = "Request will be processed") -> Response:
    """The answer to a call that acts, whose outcome its request id has."""
    body = {"result": result, "took": 0.0, "requestId": request_id}
    return JsonResponse(body, 202, _headers(request_id))


def done(result: str) -> Response:
    """The answer to a call that is done at once."""
    request_id = str(uuid4())
    body = {"result": result, "took": 0.0, "requestId": request_id}
    return JsonResponse(body, 200, _headers(request_id))


def found(data: Any, status: int = 200, **more: Any) -> Response:
    """The answer to a call that reads, or that returns what it made."""
    request_id = str(uuid4())
    body = {"data": data, **more, "took": 0.0, "requestId": request_id}
    return JsonResponse(body, status, _headers(request_id))


def not_found(what: str) -> Problem:
    """404: the named thing is not known."""
    return Problem(404, "Not found", f"{what} does not exist")


def not_processable(field: str, reason: str) -> Problem:
    """422: a body or parameter that can be read, but not acted on."""
    return Problem(422, "Not processable", f"{field}: {reason}", field=field, reason=reason)


def refuse(problem: Problem) -> Response:
    """The answer to a call that is refused. Senders repeat it after 429 and 5xx."""
    request_id = str(uuid4())
    body = {"message": problem.detail, "took": 0.0, "requestId": request_id}
    headers = _headers(request_id) | (problem.headers or {})
    headers.pop("WWW-Authenticate", None)  # it names bearer tokens
    if problem.status == 422:
        errors = {problem.extra.get("field", "body"): problem.extra.get("reason", problem.detail)}
        body |= {"message": _NOT_PROCESSABLE, "errors": errors}
    if problem.status == 429:
        headers |= {"X-RateLimit-State": "THROTTLED", "X-RateLimit-Reason": "INTEGRATION"}
    return JsonResponse(body, problem.status, headers)


def _headers(request_id: str) -> dict[str, str]:
    return {
        "X-Request-ID": request_id,
        "X-Response-Time": "0.0",
        "X-RateLimit-State": "OK",
        "X-RateLimit-Period-In-Sec": "60",
    }
