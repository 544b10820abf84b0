"""Attributes that spans and metrics of several services have; a service declares its own beside
them. Nothing else leaves a process: no name of a person, no address, no token, no body. A metric's
attributes have few values; only spans hold ids.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, eq=False, slots=True)
class Attribute:
    """`values` are all that there can be, where that is a fixed list."""

    name: str
    meaning: str
    type: Literal["string", "int"] = "string"
    values: tuple[str, ...] = ()

    @property
    def standard(self) -> bool:
        """Whether OpenTelemetry's semantic conventions define it."""
        return not self.name.startswith("tocsin.")


SYSTEM = Attribute("messaging.system", "which bus", values=("kafka",))
TOPIC = Attribute("messaging.destination.name", "topic, without the prefix")
PARTITION = Attribute("messaging.destination.partition.id", "partition of the topic")
OPERATION = Attribute(
    "messaging.operation.name", "what is done with messages", values=("send", "process")
)
OPERATION_TYPE = Attribute(
    "messaging.operation.type", "the same, in the conventions' words", values=("send", "process")
)
BATCH_COUNT = Attribute("messaging.batch.message_count", "messages in the batch", "int")
METHOD = Attribute("http.request.method", "`_OTHER` for one that HTTP does not know")
ROUTE = Attribute(
    "http.route", "the path with names for its variable parts; absent where no route matched"
)
STATUS = Attribute("http.response.status_code", "status of the answer", "int")
ERROR = Attribute(
    "error.type", "class of the exception that ended it, never its message; absent where none did"
)
CPU_MODE = Attribute("cpu.mode", "which code the processor ran", values=("user", "system"))

INCIDENT_ID = Attribute("tocsin.incident.id", "the incident's id")
DECISION = Attribute("tocsin.decision", "what was decided; the metric lists the decisions")
STAGE = Attribute(
    "tocsin.stage",
    "part of an incident's way from signal to page",
    values=("report", "triage", "escalate", "page"),
)
ORIGIN = Attribute(
    "tocsin.origin", "where the failed message came from: topic, `timer` or `outbox`"
)
COMPONENT = Attribute("tocsin.component", "part of the service, as /readyz names it")
STATE = Attribute(
    "tocsin.state",
    "what /readyz lists it as: the part cannot do its work, or is late with it or kept from some",
    values=("problem", "degraded"),
)
POLICY = Attribute("tocsin.policy", "policy file")
KIND = Attribute("tocsin.kind", "kind of rows that age, as in retention.yaml")
