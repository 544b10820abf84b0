"""A payload that somebody tries."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.events.headers import Headers


@dataclass(frozen=True, slots=True)
class Payload:
    """What a sender would send: a body for a gateway, by an integration."""

    body: bytes
    gateway: str = "cloudevents"
    path: str | None = None
    content_type: str | None = None
    integration: str = "try"
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Headers = ()
