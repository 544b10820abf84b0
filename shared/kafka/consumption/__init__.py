"""Consumption: batches of records from Kafka, one Postgres transaction each, with the offsets in
Postgres.

Loses nothing and does nothing twice, over rebalances, crashes, restored databases and recreated
topics: `assignment` and `supervisor` decide where each partition starts, `partition` stamps what is
polled, `worker` does the work in one transaction.
"""

from shared.kafka.consumption.consumption import Consumption
from shared.kafka.handler import Handler

__all__ = ["Consumption", "Handler"]
