"""What must not be told is in no log, no trace and no table, whatever goes wrong with a
receiver.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared.runtime.logs import JsonFormatter
from tests.support.escalating import receiver, sending, world
from tests.support.running import free_port

TOKEN = "t0ps3cret-in-the-path"


async def dump(admin: str) -> str:
    """Every row of every table of escalation's schema, as text."""
    connection = await asyncpg.connect(admin)
    try:
        tables = await connection.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'escalation'"
        )
        rows = [
            await connection.fetch(f'SELECT t::text FROM escalation."{table[0]}" t')
            for table in tables
        ]
        text = "\n".join(row[0] for found in rows for row in found)
        events = await connection.fetch("SELECT convert_from(value, 'utf8') FROM escalation.outbox")
        return text + "\n".join(row[0] for row in events)
    finally:
        await connection.close()


@asynccontextmanager
async def rude(says: bytes) -> AsyncIterator[str]:
    """A server that says something that is not HTTP, and hangs up."""

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(says)
        writer.close()

    async with await asyncio.start_server(meet, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        ("no name", "the host name does not resolve"),
        ("refused", "the connection was refused or not possible"),
        ("no TLS", "TLS failed"),
        ("private", "the address is private and not in TOCSIN_ALLOWED_NETWORKS"),
        ("hangs up", "the connection broke off"),
        ("nonsense", "the connection broke off"),
        ("answers 500", "HTTP 500"),
    ],
)
async def test_a_webhook_that_fails_is_reported_without_its_address(
    database: str,
    caplog: pytest.LogCaptureFixture,
    spans: InMemorySpanExporter,
    trouble: str,
    error: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with receiver() as webhooks, rude(b"") as mute, rude(f"{TOKEN}\r\n\r\n".encode()) as mad:
        webhooks.status(500, **{"X-Echo": TOKEN})
        url = {
            "no name": "http://no-such-host.invalid",
            "refused": f"http://127.0.0.1:{free_port()}",
            "no TLS": webhooks.url.replace("http:", "https:"),
            "private": webhooks.url.replace("127.0.0.1", "[::1]"),
            "hangs up": mute,
            "nonsense": mad,
        }.get(trouble, webhooks.url)
        smtp = f"smtp://pager:{TOKEN}@127.0.0.1:{free_port()}"
        async with world(database, f"{url}/{TOKEN}", smtp) as it, sending(it):
            await it.triaged(1042, team="both")
            row = await it.page(
                "failed" if trouble == "private" else "pending", method="webhook", attempts=1
            )
            mail = await it.page("pending", method="email", user_id="cleo", attempts=1)
    assert (row["last_error"], mail["last_error"]) == (error, "no connection to the mail server")
    logs = "\n".join(JsonFormatter("escalation").format(record) for record in caplog.records)
    assert error in logs
    tables = await dump(database)
    assert error in tables
    failed = [span for span in spans.get_finished_spans() if span.name.startswith("page ")]
    assert failed
    assert not any(span.status.is_ok for span in failed)
    traces = "\n".join(span.to_json() for span in spans.get_finished_spans())
    for secret in (TOKEN, "@example.com", "no-such-host", "links/a/"):
        assert secret not in logs
        assert secret not in traces
        assert secret not in tables
