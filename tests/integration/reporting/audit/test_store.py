"""The audit log has the exact bytes of every record, and only grows."""

from typing import Any

import asyncpg
import pytest

from shared.events import intake
from shared.kafka.record import Record
from shared.kafka.topics import SIGNALS
from shared.postgres.database import Database
from tests.integration.reporting.audit.test_verifier import ten_signals, verdicts
from tests.support.feeding import Feed
from tests.support.outage import OPENED, Outage


async def test_any_bytes_at_all_are_kept_as_they_came(feed: Feed, reporting: Database) -> None:
    odd = [
        Record(SIGNALS, 0, 0, OPENED, None, None),
        Record(
            SIGNALS,
            0,
            0,
            OPENED,
            b"\x00",
            b"\x00\xff not json",
            (("na\x00me", b"\xfe\x00"), ("", b"")),
        ),
        Record(intake.TOPIC, 0, 0, OPENED, b"k", b"not json"),
        Record(intake.TOPIC, 0, 0, OPENED, b"k", None),
    ]
    await feed.records([feed.place(record) for record in odd])
    async with reporting.connection() as connection:
        rows = await connection.fetch(
            'SELECT topic, key, value FROM audit ORDER BY topic DESC, "offset"'
        )
        letters = await connection.fetchval(
            "SELECT count(*) FROM outbox WHERE topic = 'tocsin.dead-letters.v1'"
        )
    assert [tuple(row) for row in rows] == [(r.topic, r.key, r.value) for r in odd]
    assert letters == 2  # the facts that are none: recorded all the same
    assert [verdict.broken for verdict in await verdicts(reporting)] == [None, None]


async def test_the_service_itself_can_only_add(feed: Feed, reporting: Database) -> None:
    await ten_signals(feed)
    for edit in ("UPDATE audit SET value = ''", "DELETE FROM audit", "TRUNCATE audit"):
        async with reporting.connection() as connection:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(edit)


async def test_an_override_adds_a_row_and_changes_no_past_one(
    feed: Feed, superuser: "asyncpg.Connection[Any]"
) -> None:
    """Events firing, then resolved at the source; a person overrides: a row is added."""
    outage = Outage()
    await feed.events(outage.reported(), outage.triaged(), outage.started(), outage.cleared(5))
    rows = 'SELECT topic, "offset", value, hash FROM audit ORDER BY topic, "offset"'
    entries = "SELECT producer, sequence, title, at FROM timeline ORDER BY producer, sequence"
    audit_before, timeline_before = await superuser.fetch(rows), await superuser.fetch(entries)

    await feed.events(outage.resolved(6, by="Ana"))

    audit_after, timeline_after = await superuser.fetch(rows), await superuser.fetch(entries)
    assert [row for row in audit_after if row in audit_before] == audit_before
    assert len(audit_after) == len(audit_before) + 1
    [added] = [row for row in timeline_after if row not in timeline_before]
    assert added["title"] == "Resolved by Ana by the API"
    assert (added["at"] - OPENED).total_seconds() == 360
    assert len(timeline_after) == len(timeline_before) + 1
