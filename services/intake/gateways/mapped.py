"""Webhooks of any sender, read as a mapping says (`mappings/*.yaml`; docs/senders.md)."""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from services.intake.gateways.domain.mapping import Received, signals_in
from services.intake.gateways.gateway import (
    BEARER_OR_BASIC,
    IN_PATH,
    Answer,
    Authentication,
    Body,
    Desk,
    Gateway,
    Route,
    Submission,
)
from services.intake.gateways.policy import SenderMapping
from services.intake.signals.domain import Signal
from shared.events.cloudevents import Malformed, load_json
from shared.http.app import JsonResponse, Problem
from shared.http.auth import bearer_or_basic
from shared.policy.files import did_you_mean

MAX_BODY_BYTES = 2 * 1024 * 1024
_LARGE = 64 * 1024
_MAX_FIELDS = 1_000


class MappedAnswer(BaseModel):
    """Everything in the body is committed."""

    accepted: int = Field(description="how many signals are committed; 0: there was nothing to do")


def mapping_of(submission: Submission) -> tuple[str, SenderMapping]:
    """The mapping that the path names. Raises Problem (404)."""
    name, mappings = submission.path["mapping"], submission.policy.mappings
    if (mapping := mappings.get(name)) is not None:
        return name, mapping
    hint = did_you_mean(name[:63], mappings) or "`tocsin intake mappings list` shows them"
    raise Problem(404, "Not found", f"path: there is no mapping of that name; {hint}", field="path")


async def respond(desk: Desk, submission: Submission) -> Response:
    """Commit the signals of a body. It dies before that: no answer, and the sender sends again."""
    name, mapping = mapping_of(submission)
    submission.check_signature(mapping.signature)
    if len(submission.body) > _LARGE:
        signals = await asyncio.to_thread(_read, name, mapping, submission)
    else:
        signals = _read(name, mapping, submission)
    if signals:
        await desk.submit(signals)
    answer = mapping.answer
    if answer.body is not None:
        return Response(answer.body, answer.status, media_type="text/plain")
    return JsonResponse({"accepted": len(signals)}, answer.status)


def _read(name: str, mapping: SenderMapping, submission: Submission) -> list[Signal]:
    received = Received(
        origin=f"{submission.integration.name} mapped {name}",
        body=_body(mapping, submission.body),
        headers=submission.headers,
        query=dict(submission.query),
        received_at=submission.received_at,
        trace=submission.trace,
    )
    return signals_in(name, mapping, received)


def _body(mapping: SenderMapping, body: bytes) -> Any:
    if mapping.format == "json":
        return load_json(body, "body", MAX_BODY_BYTES)
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS))
    except ValueError:
        reason = f"is not a form in UTF-8 with at most {_MAX_FIELDS} fields"
        raise Malformed("body", reason) from None


def _key(request: Request) -> str | None:
    """The key in Authorization, or in the header that the mapping names."""
    mappings: Mapping[str, SenderMapping] = request.state.policy.mappings
    mapping = mappings.get(request.path_params["mapping"])
    own = mapping.authentication if mapping else None
    return (request.headers.get(own.header) if own else None) or bearer_or_basic(request)


_IN_HEADERS = Authentication(
    BEARER_OR_BASIC.name,
    BEARER_OR_BASIC.scheme,
    f"{BEARER_OR_BASIC.hint}, or put it where the mapping says",
    in_headers=_key,
)


def _route(path: str, authentication: Authentication) -> Route:
    return Route(
        path=path,
        summary="Any sender's webhook, read as a mapping of the policy folder says.",
        bodies=[Body("application/json", {"description": "what it sends"}, MAX_BODY_BYTES)],
        respond=respond,
        answer=Answer(200, MappedAnswer),
        authentication=authentication,
    )


GATEWAY = Gateway(
    "mapped",
    [_route("/v1/mapped/{mapping}", _IN_HEADERS), _route("/v1/mapped/{mapping}/{key}", IN_PATH)],
)
