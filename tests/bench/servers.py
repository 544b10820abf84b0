"""The servers that all systems of a run share."""

import os
from dataclasses import dataclass

from tests.bench.cost import children


@dataclass(frozen=True, slots=True)
class Servers:
    """Kafka's bootstrap address and PostgreSQL's admin DSN."""

    kafka: str
    postgres: str

    def processes(self) -> dict[str, list[int]]:
        """The processes of the servers, if this process started them."""
        own = os.getpid()
        return {"kafka": children(own, "kafka.Kafka"), "postgres": children(own, "bin/postgres")}
