"""What a gateway declares. One module per protocol; a new one needs no other edit."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from services.intake.gateways.domain.signature import Signature
from services.intake.gateways.policy import SIGNATURES, GatewayPolicy, shipped
from services.intake.integrations.domain import Integration
from services.intake.signals.domain import (
    Heartbeat,
    HeartbeatSettings,
    Identity,
    KnownAlert,
    Signal,
    Taken,
)
from shared.events.headers import Headers
from shared.events.trace_context import TraceContext
from shared.http.auth import bearer, bearer_or_basic, unauthorised
from shared.http.problems import PROBLEM, Problem, problem_response


@dataclass(frozen=True, slots=True)
class Authentication:
    """Where a request has its integration key, and how OpenAPI describes that.

    A key that is not in the body is checked before that is read. The first place that has one
    counts: `in_headers`, then `in_query` and `in_path`, which name the parameter of the query and
    of the route's path. For senders that put it into the body, `in_body` finds it there.

    No key reaches `Submission`. The path and the query are never logged, measured or traced: the
    route's path is.
    """

    name: str
    scheme: Mapping[str, Any] | None
    hint: str
    in_headers: Callable[[Request], str | None] | None = None
    in_query: str | None = None
    in_path: str | None = None
    in_body: Callable[[bytes], str | None] | None = None

    @property
    def needs_body(self) -> bool:
        """Whether the key can only be found once the body is read."""
        return not (self.in_headers or self.in_query or self.in_path)

    def find(self, request: Request) -> str | None:
        """The key outside of the body, or None."""
        if self.in_headers and (key := self.in_headers(request)):
            return key
        if self.in_query and (key := request.query_params.get(self.in_query)):
            return key
        return request.path_params.get(self.in_path) if self.in_path else None

    @property
    def field(self) -> str:
        """What an error names as the part of the request at fault."""
        if self.in_headers or self.in_body:
            return "Authorization"
        return self.in_query or "path"


MAKE_ONE = "make one with `tocsin intake integrations create NAME`"

BEARER = Authentication(
    "HTTPBearer",
    {"type": "http", "scheme": "bearer", "description": "an integration key"},
    f"send `Bearer <integration key>`; {MAKE_ONE}",
    in_headers=bearer,
)
BEARER_OR_BASIC = Authentication(
    "HTTPBearer",
    {"type": "http", "scheme": "bearer", "description": "an integration key"},
    f"send `Bearer <integration key>`, or Basic with the key as the password; {MAKE_ONE}",
    in_headers=bearer_or_basic,
)
IN_PATH = Authentication(
    "KeyInPath",
    None,
    f"the last part of the URL must be an integration key; {MAKE_ONE}",
    in_path="key",
)
"""For senders that can only set a URL. Routes have `{key}` in their path."""


@dataclass(frozen=True, slots=True)
class Body:
    """A body that is taken. `schema` is a JSON schema, or a type that pydantic makes one of."""

    content_type: str
    schema: Any
    max_bytes: int


@dataclass(frozen=True, slots=True)
class Parameter:
    """A header, or a parameter of the query, that is read. `schema` is as that of a body."""

    name: str
    meaning: str
    schema: Any
    place: Literal["header", "query"] = "header"


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer once everything is committed. `render` gets the signals and the decisions about
    them; `schema` is what it returns, None where the body is empty.
    """

    status: int
    schema: Any
    render: Callable[[Sequence[Signal], Mapping[Identity, Taken]], Any] = lambda *_: None
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Submission:
    """An authenticated request, without its key. `path` has the parameters of its route;
    `content_type` is in lower case and without parameters; `trace` is that of the request;
    `policy` is in force.
    """

    integration: Integration
    path: Mapping[str, str]
    query: QueryParams
    content_type: str
    headers: Headers
    body: bytes
    received_at: datetime
    trace: TraceContext | None
    policy: GatewayPolicy = field(default_factory=shipped)

    def check_signature(self, rule: Signature | None) -> None:
        """Where the integration has a secret, its requests must be signed with it, as `rule` says.
        Raises Problem (401).
        """
        signer = self.policy.signers.get(self.integration.name)
        if signer is None or not signer.secrets:
            return
        if rule is None:
            hint = f"it cannot be signed here; take the secret out of {SIGNATURES}"
            raise unauthorised(hint, "signature")
        own = {"header": signer.header, "timestamp_header": signer.timestamp_header}
        rule = rule.model_copy(update={name: value for name, value in own.items() if value})
        if fault := rule.fault(signer.secrets, self.headers, self.body, self.received_at):
            raise unauthorised(fault[1], fault[0])


class HeartbeatDesk(Protocol):
    """The heartbeats that there are, for routes that make, change and delete them. All raise one of
    UNAVAILABLE.
    """

    async def find(self, name: str) -> Heartbeat | None:
        """The heartbeat of a name."""

    async def list(self) -> Sequence[Heartbeat]:
        """All heartbeats, by name."""

    async def save(self, name: str, settings: HeartbeatSettings) -> Heartbeat:
        """Make a heartbeat, or change the one that has the name. Raises HeartbeatRefused where a
        policy file manages it.
        """

    async def delete(self, name: str) -> bool:
        """Delete a heartbeat; False when there is none. Raises HeartbeatRefused as `save`."""


class Desk(Protocol):
    """What a route may ask for while it responds."""

    async def submit(self, signals: Sequence[Signal]) -> Mapping[Identity, Taken]:
        """Commit signals of the integration; the decision about each. Raises Problem."""

    async def open_alerts(self, origin: str) -> Sequence[KnownAlert]:
        """The alerts of an origin whose incident is open, oldest first; at most 10,000."""

    async def alerts(self, origin: str, keys: Sequence[str]) -> Sequence[KnownAlert]:
        """The newest alert of each of an origin's keys that is known."""

    async def members(self, origin: str, incident: UUID | int) -> Sequence[KnownAlert]:
        """The alerts of an origin in one incident, by its id, or by its number while it is open."""

    async def download(self, url: str, *, lasting: bool = False) -> bytes:
        """What is at an https address, by the rules for outgoing requests; for an hour from memory
        if it is `lasting`. Raises Problem (503).
        """

    async def beat(self, name: str, sent: "Submission") -> bool:
        """Commit a beat of a heartbeat; False where there is none of that name. Raises Problem."""

    @property
    def heartbeats(self) -> HeartbeatDesk:
        """The heartbeats that there are."""


Read = Callable[[Submission], list[Signal]]
Respond = Callable[[Desk, Submission], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """One call of a protocol: where it is served, what it takes, what it answers.

    Most have `read`, which is pure, and makes signals of a request: they are committed, and
    answered by `answer`. It raises Malformed, naming the field, for what can never be taken (400),
    and Problem for any other refusal. A call that does something else has `respond` instead.

    A body of a content type that is not declared is bounded as the first of `bodies`; `read`
    accepts or refuses it. Without `bodies` none is read. `parameters` are the headers and the
    parameters of the query that it reads. `refuse` is for a call whose error answers differ from
    those of its gateway. One that is not `described` is another at a second path.
    """

    path: str
    summary: str
    answer: Answer
    read: Read | None = None
    respond: Respond | None = None
    method: str = "POST"
    bodies: Sequence[Body] = ()
    parameters: Sequence[Parameter] = ()
    authentication: Authentication = BEARER
    refuse: Callable[[Problem], Response] | None = None
    described: bool = True

    def max_bytes(self, content_type: str) -> int:
        """The bound of a body of this content type."""
        declared = {body.content_type: body.max_bytes for body in self.bodies}
        return declared.get(content_type, self.bodies[0].max_bytes if self.bodies else 0)


@dataclass(frozen=True, slots=True)
class Gateway:
    """A protocol that senders speak. Its `name` is what a key's scope says.

    `refuse` makes the protocol's own answer of an error: problem+json unless it has another, which
    `problem` describes as a response of OpenAPI.
    `busy` is the status of "too much now, send it again", always with Retry-After. It is 503 unless
    the sender is known to repeat another one: many drop what was answered with 429.
    """

    name: str
    routes: Sequence[Route]
    refuse: Callable[[Problem], Response] = problem_response
    problem: Mapping[str, Any] = field(default_factory=lambda: PROBLEM)
    busy: int = 503
