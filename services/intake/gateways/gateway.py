"""What a gateway declares. One module per protocol; a new one needs no other edit."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.requests import Request

from services.intake.signals.domain import Identity, Signal, Taken
from shared.events.headers import Headers
from shared.events.trace_context import TraceContext
from shared.http.app import bearer


@dataclass(frozen=True, slots=True)
class Authentication:
    """Where a request has its integration key, and how OpenAPI describes that.

    A key `in_headers` is checked before the body is read; where a protocol puts it into the body,
    `in_body` finds it there.
    """

    name: str
    scheme: Mapping[str, Any]
    hint: str
    in_headers: Callable[[Request], str | None] | None = None
    in_body: Callable[[bytes], str | None] | None = None


BEARER = Authentication(
    "HTTPBearer",
    {"type": "http", "scheme": "bearer", "description": "an integration key"},
    "send `Bearer <integration key>`; make one with `tocsin intake keys create NAME`",
    in_headers=bearer,
)


@dataclass(frozen=True, slots=True)
class Body:
    """A body that is taken. `schema` is a JSON schema, or a type that pydantic makes one of."""

    content_type: str
    schema: Any
    max_bytes: int


@dataclass(frozen=True, slots=True)
class Header:
    """A header that is read. `schema` is as that of a body."""

    name: str
    meaning: str
    schema: Any


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer once everything is committed. `render` gets the signals and the decisions about
    them; `schema` is what it returns.
    """

    status: int
    schema: Any
    render: Callable[[Sequence[Signal], Mapping[Identity, Taken]], Any]


@dataclass(frozen=True, slots=True)
class Submission:
    """An authenticated request. `content_type` is in lower case and without parameters; `trace` is
    that of the request.
    """

    integration: str
    content_type: str
    headers: Headers
    body: bytes
    received_at: datetime
    trace: TraceContext | None


@dataclass(frozen=True, slots=True)
class Gateway:
    """A protocol: where it is served, what it takes, how that becomes signals, what it answers.

    `read` is pure. It raises Malformed, naming the field, for what can never be taken (400), and
    Problem for any other refusal. A body of a content type that is not declared is bounded as the
    first of `bodies`; `read` accepts or refuses it. `headers` are those that it reads.
    """

    path: str
    summary: str
    bodies: Sequence[Body]
    read: Callable[[Submission], list[Signal]]
    answer: Answer
    authentication: Authentication = BEARER
    headers: Sequence[Header] = ()

    def max_bytes(self, content_type: str) -> int:
        """The bound of a body of this content type."""
        declared = {body.content_type: body.max_bytes for body in self.bodies}
        return declared.get(content_type, self.bodies[0].max_bytes)
