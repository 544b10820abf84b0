"""Consumption: batches of records from Kafka, one Postgres transaction each, with the offsets in
Postgres.

Loses nothing and does nothing twice, over rebalances, crashes, restored databases and recreated
topics: `assignment` decides where each partition starts and stamps what is polled, `batch` does the
work in one transaction.
"""

from shared.kafka.consumption.consumption import Consumption
from shared.kafka.handler import Handler

__all__ = ["Consumption", "Handler"]
