"""`tocsin dead-letters`: what it lists and shows, and what it refuses to redrive."""

from datetime import UTC, datetime, timedelta

from shared.kafka.dead_letters.writing import dead_letter, dead_letter_for_record
from shared.kafka.record import Record
from tests.support.consuming import TOPIC
from tests.support.dead_lettering import Tocsin, dead_letters, write_down

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)


async def test_what_cannot_be_redriven_says_why(
    kafka: str, topic_prefix: str, tocsin: Tocsin
) -> None:
    async def first() -> str:
        return (await dead_letters(kafka, topic_prefix))[-1].id

    assert "no dead letters" in await tocsin("list")
    assert "no dead letter has this id" in await tocsin("redrive", "5d1c9b0e7a42", status=1)
    await tocsin("redrive", status=2)
    await tocsin("redrive", "--all", status=2)

    # Fails every five minutes, and is one thing all the same.
    failures = [
        dead_letter("escalation", "KeyError: 'x'", "timer step", NOON, key="an incident")
        for _ in range(3)
    ]
    await write_down(kafka, topic_prefix, *failures)
    assert len(await dead_letters(kafka, topic_prefix)) == 1
    assert "tries it again by itself" in await tocsin("redrive", await first(), status=1)

    huge = Record(TOPIC, 0, 1, NOON, None, b"x" * 600_000)
    await write_down(
        kafka, topic_prefix, dead_letter_for_record(huge, ValueError("no"), "intake", NOON)
    )
    assert "too large to be kept here" in await tocsin("redrive", await first(), status=1)
    assert "600000 bytes are left out" in await tocsin("show", await first())

    await write_down(
        kafka,
        topic_prefix,
        dead_letter("triage", "too large", "outbox tocsin.triage.v1", NOON, key="k"),
    )
    assert "content was not kept" in await tocsin("redrive", await first(), status=1)
    assert "0 redriven" in await tocsin("redrive", "--all", "--service", "triage")


async def test_listing_and_showing_dead_letters(
    kafka: str, topic_prefix: str, tocsin: Tocsin
) -> None:
    records = [
        Record(TOPIC, 0, 1, NOON, b"the key", b'{"a": "\x1b[31m"}', (("h", b"\xff"),)),
        Record(
            TOPIC, 0, 2, NOON, None, b"y" * 400_000
        ),  # larger in base64 than an event from outside may be
    ]
    old = dead_letter_for_record(
        records[0], ValueError("[bold]why[/bold]\nand more"), "triage", NOON - timedelta(days=2)
    )
    await write_down(
        kafka,
        topic_prefix,
        old,
        dead_letter_for_record(records[1], ValueError("no"), "intake", NOON),
    )

    assert [part in await tocsin("list", "--service", "intake") for part in ("@1", "@2")] == [
        False,
        True,
    ]
    assert [part in await tocsin("list", "--since", "2026-03-02") for part in ("@1", "@2")] == [
        False,
        True,
    ]
    shown = await tocsin("show", (await dead_letters(kafka, topic_prefix))[0].id)
    assert all(
        text in shown
        for text in ("[bold]why[/bold]", "and more", "the key", "\\xff", '{"a": " [31m"}')
    )
    shown = await tocsin("show", (await dead_letters(kafka, topic_prefix))[1].id)
    assert "of 400000 bytes in all" in shown
    assert shown.count("y") < 11_000


async def test_in_a_pipe_each_dead_letter_is_one_line(
    kafka: str, topic_prefix: str, tocsin: Tocsin
) -> None:
    reason = "a long reason " * 40
    record = Record(TOPIC, 0, 1, NOON, None, b"{}")
    await write_down(
        kafka, topic_prefix, dead_letter_for_record(record, ValueError(reason), "triage", NOON)
    )

    header, line = [line for line in (await tocsin("list")).splitlines() if line.strip()]

    assert header.split()[0] == "id"
    assert f"ValueError: {reason}".strip() in line
