"""Mail by smtplib to the listener, on real Postgres."""

import asyncio
import smtplib
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from services.intake.integrations.key_ring import KeyRing
from services.intake.integrations.store import create_key
from services.intake.mail.domain.message import MAX_BYTES
from services.intake.mail.listener import Listener
from services.intake.signals.domain import Overloaded
from tests.integration.intake.conftest import NOON, World, committing
from tests.support.certificates import self_signed
from tests.support.running import eventually

_SETTINGS = """
    INSERT INTO integrations (name, settings) VALUES ($1, $2)
    ON CONFLICT (name) DO UPDATE SET settings = EXCLUDED.settings
"""


@pytest.fixture
async def key(world: World) -> str:
    async with world.database.transaction() as connection:
        return await create_key(connection, "nagios", None, NOON)


@pytest.fixture
async def listener(world: World) -> AsyncIterator[Listener]:
    async with committing(world.database, world.handlers.take_new, world.handlers.take) as commit:
        keys = KeyRing(world.database, lambda: NOON)
        own = Listener("127.0.0.1:0", keys.integration, commit.submit, lambda: NOON)
        task = asyncio.create_task(own.run())
        await own.listening.wait()
        yield own
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def mail(subject: str, text: str = "details", **headers: str) -> bytes:
    message = EmailMessage()
    message["From"] = "nagios@mon.example"
    message["Subject"] = subject
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(text)
    return message.as_bytes()


async def send(
    listener: Listener, to: str | list[str], raw: bytes, sender: str = "nagios@mon.example"
) -> tuple[int, str]:
    """The answer to a mail: that to its end, or to the first address that is refused."""

    def deliver() -> tuple[int, str]:
        with smtplib.SMTP("127.0.0.1", listener.port, timeout=30) as client:
            client.ehlo()
            client.mail(sender)
            for address in [to] if isinstance(to, str) else to:
                code, answer = client.rcpt(address)
                if code != 250:
                    return code, answer.decode()
            code, answer = client.data(raw)
            return code, answer.decode()

    return await asyncio.to_thread(deliver)


async def incidents(world: World) -> list[tuple[str, str, str]]:
    rows = await world.rows("SELECT status, summary, severity FROM incidents ORDER BY number")
    return [(row["status"], row["summary"], row["severity"]) for row in rows]


async def test_a_mail_opens_and_another_clears_an_incident(
    world: World, listener: Listener, key: str
) -> None:
    to = f"{key}@tocsin.example"
    problem = "** PROBLEM Service Alert: web1/HTTP is CRITICAL **"
    code, answer = await send(listener, to, mail(problem, f"sent to {to}"))
    assert (code, answer) == (250, "2.0.0 committed")
    assert await incidents(world) == [("open", problem, "critical")]
    (row,) = await world.rows("SELECT origin, labels, annotations FROM incidents")
    assert row["origin"] == "nagios mail"
    assert row["labels"] == {"from": "[redacted e-mail address]", "host": "web1", "check": "HTTP"}
    assert row["annotations"] == {"text": "sent to …@tocsin.example"}, "the key is kept nowhere"
    await send(listener, to, mail(problem, "again"))
    assert len(await incidents(world)) == 1
    await send(listener, to, mail("** RECOVERY Service Alert: web1/HTTP is OK **"))
    assert await incidents(world) == [("cleared", problem, "critical")]


async def test_an_integration_has_settings(world: World, listener: Listener, key: str) -> None:
    given = {"gateway": "mail", "team": "ops", "rate": 0.001, "burst": 1}
    await world.rows(_SETTINGS, "nagios", given)
    assert (await send(listener, f"{key}@x", mail("disk full")))[0] == 250
    (row,) = await world.rows("SELECT labels FROM incidents")
    assert row["labels"] == {"from": "[redacted e-mail address]", "team": "ops"}
    code, answer = await send(listener, f"{key}@x", mail("another"))
    assert (code, answer[:5]) == (451, "4.3.2"), "it has sent too much, and tries again"
    async with world.database.transaction() as connection:
        other = await create_key(connection, "web", None, NOON)
    await world.rows(_SETTINGS, "web", {"gateway": "grafana"})
    assert (await send(listener, f"{other}@x", mail("no")))[0] == 550


async def test_a_repeat_of_a_mail_counts_once(world: World, listener: Listener, key: str) -> None:
    """The sender did not see the answer, and sends it again."""
    raw = mail("disk full", Message_ID="<1@mon>")
    for _ in range(3):
        assert (await send(listener, f"{key}@x", raw))[0] == 250
    assert await world.rows("SELECT signal_count FROM incidents") == [{"signal_count": 1}]


async def test_addresses_that_are_none(world: World, listener: Listener, key: str) -> None:
    for address in ("postmaster@x", f"{key}x@x", f"{key.upper()}@x", "tocsin_abc_def@x"):
        code, _ = await send(listener, address, mail("x"))
        assert code == 550
    assert (await send(listener, f"web+{key}@x", mail("x")))[0] == 250

    def guess() -> list[int]:
        with smtplib.SMTP("127.0.0.1", listener.port, timeout=30) as client:
            client.ehlo()
            client.mail("a@b")
            return [client.rcpt(f"tocsin_a{n}_b@x")[0] for n in range(7)]

    assert await asyncio.to_thread(guess) == [550] * 5 + [421] * 2


async def test_replies_bounces_and_loops_are_answered_and_dropped(
    world: World, listener: Listener, key: str
) -> None:
    raw = mail("Out of office", Auto_Submitted="auto-replied")
    code, answer = await send(listener, f"{key}@x", raw)
    assert (code, answer) == (250, "2.0.0 not taken as a report: it is an automatic reply")
    assert (await send(listener, f"{key}@x", mail("page", X_Tocsin="page")))[0] == 250
    assert await incidents(world) == []
    assert (await send(listener, f"{key}@x", mail("disk full"), sender=""))[0] == 250
    assert len(await incidents(world)) == 1, "an empty sender alone makes no bounce"


async def test_a_mail_that_is_too_large_is_refused(
    world: World, listener: Listener, key: str
) -> None:
    raw = mail("x") + b"y" * 60 + b"\r\n"
    large = raw + (b"z" * 70 + b"\r\n") * (MAX_BYTES // 70)
    assert (await send(listener, f"{key}@x", large))[0] == 552
    long_line = mail("long") + b"w" * 20_000 + b"\r\n"
    assert (await send(listener, f"{key}@x", long_line))[0] == 250
    assert [summary for _, summary, _ in await incidents(world)] == ["long"]


async def test_one_mail_to_two_integrations(world: World, listener: Listener, key: str) -> None:
    async with world.database.transaction() as connection:
        other = await create_key(connection, "zabbix", None, NOON)
    assert (await send(listener, [f"{key}@x", f"{other}@x"], mail("disk full")))[0] == 250
    rows = await world.rows("SELECT origin FROM incidents ORDER BY origin")
    assert [row["origin"] for row in rows] == ["nagios mail", "zabbix mail"]


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (Overloaded(), "451 4.3.2"),
        (ConnectionError(), "451 4.3.0"),
        (ValueError("a fault"), "451 4.3.0"),
    ],
)
async def test_what_cannot_be_committed_stays_with_the_sender(
    world: World, key: str, failure: Exception, code: str
) -> None:
    async def fail(*_: Any) -> Any:
        raise failure

    keys = KeyRing(world.database, lambda: NOON)
    own = Listener("127.0.0.1:0", keys.integration, fail, lambda: NOON)
    task = asyncio.create_task(own.run())
    await own.listening.wait()
    status, answer = await send(own, f"{key}@x", mail("disk full"))
    assert f"{status} {answer}".startswith(code)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_mail_by_starttls(world: World, key: str, tmp_path: Path) -> None:
    made = self_signed(tmp_path)
    keys = KeyRing(world.database, lambda: NOON)
    async with committing(world.database, world.handlers.take_new, world.handlers.take) as commit:
        files = (made.path, made.key)
        own = Listener("127.0.0.1:0", keys.integration, commit.submit, lambda: NOON, files)
        task = asyncio.create_task(own.run())
        await own.listening.wait()

        def deliver() -> None:
            with smtplib.SMTP("127.0.0.1", own.port, timeout=30) as client:
                client.starttls(context=ssl.create_default_context(cafile=str(made.path)))
                client.sendmail("a@b", [f"{key}@x"], mail("by TLS"))

        await asyncio.to_thread(deliver)
        assert [summary for _, summary, _ in await incidents(world)] == ["by TLS"]
        made.path.unlink()  # a renewal that went wrong keeps no alert away
        assert (await send(own, f"{key}@x", mail("without")))[0] == 250
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_connections_of_one_address_are_bounded(listener: Listener) -> None:
    many = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(52)]
    greetings = await asyncio.gather(*(reader.readline() for reader, _ in many))
    assert sorted({line[:3] for line in greetings}) == [b"220", b"421"]
    assert sum(line.startswith(b"220") for line in greetings) == 50
    for _, writer in many:
        writer.close()

    async def greeted() -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        greeting = await reader.readline()
        writer.close()
        return greeting.startswith(b"220")

    await eventually("a connection is taken again", greeted)
