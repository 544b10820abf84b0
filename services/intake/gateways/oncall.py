"""Grafana OnCall's inbound URLs, for senders that were set up for it: only the host changes, and
the token, which is an integration key.
"""

from typing import Any
from urllib.parse import parse_qsl

from starlette.responses import Response

from services.intake.gateways.domain.grafana import Envelope
from services.intake.gateways.domain.oncall import SLUGS, read_payload
from services.intake.gateways.gateway import IN_PATH, Answer, Body, Gateway, Route, Submission
from services.intake.signals.domain import Signal
from shared.events.cloudevents import Malformed, load_json
from shared.http.app import JsonResponse, Problem

MAX_BODY_BYTES = 32 * 1024 * 1024
_FORM = "application/x-www-form-urlencoded"
_MAX_FIELDS = 1_000
_UNAUTHORISED, _FORBIDDEN = 401, 403


def read_inbound(submission: Submission) -> list[Signal]:
    """The signals of one request. Raises Malformed, naming the field."""
    slug = submission.path["slug"]
    if slug not in SLUGS:
        raise Malformed("path", f"no integration has this type; known are {', '.join(SLUGS)}")
    if submission.content_type == "multipart/form-data":
        raise Malformed("body", "files are not taken; send JSON")
    origin = f"{submission.integration.name} oncall"
    envelope = Envelope(origin, submission.received_at, submission.trace)
    return read_payload(slug, _payload(submission), envelope)


def _payload(submission: Submission) -> Any:
    if submission.content_type != _FORM:
        return load_json(submission.body, "body", MAX_BODY_BYTES)
    try:
        return dict(parse_qsl(submission.body.decode(), max_num_fields=_MAX_FIELDS))
    except ValueError:
        reason = f"is not a form in UTF-8 with at most {_MAX_FIELDS} fields"
        raise Malformed("body", reason) from None


PROBLEM = {
    "description": "What is wrong. 503 comes with Retry-After: send it again.",
    "content": {
        "application/json": {
            "schema": {"type": "object", "properties": {"detail": {"type": "string"}}}
        }
    },
}


def refuse(problem: Problem) -> Response:
    """As OnCall says it: a token that is not known is forbidden."""
    status = _FORBIDDEN if problem.status == _UNAUTHORISED else problem.status
    return JsonResponse({"detail": problem.detail}, status, problem.headers)


GATEWAY = Gateway(
    "oncall",
    [
        Route(
            path="/integrations/v1/{slug}/{key}",
            summary="Grafana OnCall's inbound integrations.",
            bodies=[
                Body("application/json", {"type": "object"}, MAX_BODY_BYTES),
                Body(_FORM, {"type": "object"}, 1024 * 1024),
            ],
            read=read_inbound,
            answer=Answer(200, {"type": "string"}, lambda *_: "Ok."),
            authentication=IN_PATH,
        )
    ],
    refuse,
    PROBLEM,
)
