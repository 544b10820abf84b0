"""Facts about the running of Tocsin itself, topic `tocsin.operations.v1`, which every service
writes.
"""

from datetime import datetime

from shared.events.facts import Fact, Model

TOPIC = "tocsin.operations.v1"


class AgedRows(Model):
    """What a retention run deleted of one kind of rows: those older than `older_than`. `deleted`
    counts rows by table, what belonged to them included.
    """

    kind: str
    older_than: datetime
    deleted: dict[str, int]


class RetentionApplied(Fact, topic=TOPIC):
    """`service` deleted what its retention policy keeps no longer. Written at the end of every run,
    in the transaction of its last deletions.
    """

    service: str
    policy_version: str
    started_at: datetime
    finished_at: datetime
    rows: list[AgedRows]
