"""The verifier finds whatever was done to the audit log behind reporting's back."""

from typing import Any

import asyncpg
import pytest

from services.reporting.audit.domain import Verdict
from services.reporting.audit.verifier import Verifier
from shared.events import escalation, intake
from shared.kafka.record import Record
from shared.kafka.topics import SIGNALS
from shared.postgres.database import Database
from tests.support.feeding import Feed
from tests.support.outage import OPENED, Outage


async def verdicts(reporting: Database) -> list[Verdict]:
    async with reporting.connection() as connection:
        return [verdict async for verdict in Verifier(connection).verify()]


async def broken(reporting: Database) -> list[str]:
    return [f"{v.topic}/{v.partition}: {v.broken}" for v in await verdicts(reporting) if v.broken]


async def ten_signals(feed: Feed) -> None:
    for batch in range(2):
        records = [
            Record(SIGNALS, 0, 0, OPENED, b"key", f"{batch}-{n}".encode(), (("h", b"\xff"),))
            for n in range(5)
        ]
        await feed.records([feed.place(record) for record in records])


async def test_an_untouched_log_holds_and_says_how_much_it_holds(
    feed: Feed, reporting: Database
) -> None:
    outage = Outage()
    await ten_signals(feed)
    await feed.events(outage.reported(), outage.triaged(), outage.started())
    found = await verdicts(reporting)
    assert {v.topic: v.records for v in found} == {
        SIGNALS: 10,
        intake.TOPIC: 1,
        "tocsin.triage.v1": 1,
        escalation.TOPIC: 1,
    }
    assert not [v for v in found if v.broken]
    assert len({v.head for v in found}) == 4


@pytest.mark.parametrize(
    ("edit", "finding"),
    [
        (
            """UPDATE audit SET value = '3-3' WHERE "offset" = 3""",
            "offset 3 does not follow from offset 2",
        ),
        (
            """UPDATE audit SET value = NULL WHERE "offset" = 3""",
            "offset 3 does not follow from offset 2",
        ),
        (
            """UPDATE audit SET key = 'kez' WHERE "offset" = 9""",
            "offset 9 does not follow from offset 8",
        ),
        (
            """UPDATE audit SET headers = '' WHERE "offset" = 5""",
            "offset 5 does not follow from offset 4",
        ),
        (
            """
            UPDATE audit SET recorded_at = recorded_at + interval '1 microsecond'
            WHERE "offset" = 0
            """,
            "offset 0 does not follow from the beginning",
        ),
        (
            """UPDATE audit SET hash = sha256('x') WHERE "offset" = 4""",
            "offset 4 does not follow from offset 3",
        ),
        ("""DELETE FROM audit WHERE "offset" = 4""", "offset 5 does not follow from offset 3"),
        ("""DELETE FROM audit WHERE "offset" < 2""", "offset 2 does not follow from the beginning"),
        ("""DELETE FROM audit WHERE "offset" > 6""", "ends at offset 6, but offset 9 was recorded"),
        ("DELETE FROM audit", "ends at offset -1, but offset 9 was recorded"),
        (
            """UPDATE audit SET "offset" = CASE "offset" WHEN 3 THEN 104 ELSE 103 END
               WHERE "offset" IN (3, 4);
               UPDATE audit SET "offset" = "offset" - 100 WHERE "offset" > 100""",
            "offset 3 does not follow from offset 2",
        ),
        ("""UPDATE audit SET "partition" = 7""", "0: the chain ends at offset -1"),
        ("DELETE FROM offsets", "the consumer has no offset (table offsets)"),
    ],
)
async def test_an_edit_is_found(
    feed: Feed, reporting: Database, superuser: "asyncpg.Connection[Any]", edit: str, finding: str
) -> None:
    await ten_signals(feed)
    await superuser.execute(edit)
    found = await broken(reporting)
    assert finding in found[0]
