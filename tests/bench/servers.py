"""What all systems share in a run."""

import os
from dataclasses import dataclass

from tests.bench.cost import children


@dataclass(frozen=True, slots=True)
class Servers:
    """Kafka's bootstrap address, Postgres' admin DSN, and the name of a migrated database to clone."""

    kafka: str
    postgres: str
    template: str

    def processes(self) -> dict[str, list[int]]:
        """Those of the servers that this process started."""
        own = os.getpid()
        return {"kafka": children(own, "kafka.Kafka"), "postgres": children(own, "bin/postgres")}
