"""How a span is declared, and the spans of every service. A service declares its own in its module
`spans`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from shared.telemetry.attributes import (
    BATCH_COUNT,
    ERROR,
    OPERATION,
    OPERATION_TYPE,
    SYSTEM,
    TOPIC,
    Attribute,
)

Kind = Literal["internal", "client", "consumer", "server"]


@dataclass(frozen=True, eq=False, slots=True)
class Span:
    """`parent` says in words which span is its parent. `attributes` are those it may have beside
    ON_FAILURE. The value of `varies`, one of the attributes, is the last word of its name.
    """

    name: str
    parent: str
    meaning: str
    attributes: tuple[Attribute, ...] = ()
    kind: Kind = "internal"
    varies: Attribute | None = None

    @property
    def pattern(self) -> str:
        """The name, with that of the attribute in braces where it varies."""
        return f"{self.name} {{{self.varies.name}}}" if self.varies else self.name

    def named(self, attributes: Mapping[Attribute, str | int]) -> str:
        """The name of one with these attributes."""
        return f"{self.name} {attributes[self.varies]}" if self.varies else self.name


_BATCH = (SYSTEM, TOPIC, OPERATION, OPERATION_TYPE, BATCH_COUNT)
# Not a producer: the context that the messages carry is that of the span which decided them.
SEND = Span(
    "send",
    "nothing",
    "a batch to Kafka, linked to the traces in it, the first 128 of them",
    _BATCH,
    "client",
    TOPIC,
)
PROCESS = Span(
    "process",
    "nothing",
    "a batch from Kafka, linked to the traces in it, the first 128 of them",
    _BATCH,
    "consumer",
    TOPIC,
)
BATCH_SPANS = (SEND, PROCESS)
"""Spans of every service that reads and writes Kafka."""

ON_FAILURE = (ERROR,)
"""Attributes of a span that failed, beside its own."""
