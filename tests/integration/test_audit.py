"""The audit log: exact bytes, append-only, and a walk that finds whatever was done to it behind
reporting's back.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from typer.testing import CliRunner

from services.reporting.audit.verification import Verdict, verify_chains
from services.reporting.cli import audit
from shared.events import escalation, intake
from shared.kafka.record import Record
from shared.kafka.topics import SIGNALS
from shared.postgres.database import Database
from tests.support.feeding import Feed
from tests.support.outage import OPENED, Outage


@pytest.fixture
async def superuser(database: str) -> AsyncIterator["asyncpg.Connection[Any]"]:
    connection = await asyncpg.connect(database, server_settings={"search_path": "reporting"})
    yield connection
    await connection.close()


async def verdicts(reporting: Database) -> list[Verdict]:
    async with reporting.connection() as connection:
        return [verdict async for verdict in verify_chains(connection, lambda _: None)]


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
    assert await broken(reporting) == []


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
            """UPDATE audit SET recorded_at = recorded_at + interval '1 microsecond' WHERE "offset" = 0""",
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
            """UPDATE audit SET "offset" = CASE "offset" WHEN 3 THEN 104 ELSE 103 END WHERE "offset" IN (3, 4);
               UPDATE audit SET "offset" = "offset" - 100 WHERE "offset" > 100""",
            "offset 3 does not follow from offset 2",
        ),
        ("""UPDATE audit SET "partition" = 7""", "0: the chain ends at offset -1"),
        ("DELETE FROM offsets", "the consumer's own books (table offsets) know of none"),
    ],
)
async def test_an_edit_is_found(
    feed: Feed, reporting: Database, superuser: "asyncpg.Connection[Any]", edit: str, finding: str
) -> None:
    await ten_signals(feed)
    await superuser.execute(edit)
    found = await broken(reporting)
    assert finding in found[0]


async def test_the_service_itself_can_only_add(feed: Feed, reporting: Database) -> None:
    await ten_signals(feed)
    for edit in ("UPDATE audit SET value = ''", "DELETE FROM audit", "TRUNCATE audit"):
        async with reporting.connection() as connection:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(edit)


async def test_c61_an_override_changes_no_past_row(
    feed: Feed, superuser: "asyncpg.Connection[Any]"
) -> None:
    """C61: events firing, then resolved at the source; a person overrides: a new row says who and
    when.
    """
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


async def test_the_command_says_so_and_fails(
    feed: Feed,
    reporting: Database,
    superuser: "asyncpg.Connection[Any]",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await ten_signals(feed)
    monkeypatch.setenv("TOCSIN_POSTGRES", reporting.dsn)
    good = await _in_a_thread("verify")
    assert good.exit_code == 0, good.output
    assert "all 10 records in 1 chain(s) hold" in good.stdout
    await superuser.execute("""UPDATE audit SET value = 'forged' WHERE "offset" = 6""")
    bad = await _in_a_thread("verify")
    assert bad.exit_code == 1
    assert f"{SIGNALS}/0: the record at offset 6 does not follow from offset 5" in bad.stderr


async def _in_a_thread(*arguments: str) -> Any:
    """The command line has a loop of its own."""
    return await asyncio.to_thread(CliRunner().invoke, audit, list(arguments))
