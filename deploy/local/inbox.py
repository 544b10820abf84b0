"""The local stack's inbox: receives and shows the pages that were sent, as mail and as signed
webhooks.
"""

import asyncio
import contextlib
import email.message
import email.policy
import json
import os
import re
import signal
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from aiosmtpd.smtp import SMTP, Envelope, Session
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader
from pydantic import BaseModel

from deploy.signatures import Verifier
from shared.http.server import inherit

_KEPT = 1000
_MAX_BYTES = 256 * 1024
_LINK = re.compile(r"https?://[^\s<>\"']+")
_LINE_WITH_LINK = re.compile(rf"^(\w+):?[ \t]+({_LINK.pattern})$", re.MULTILINE)


class Message(BaseModel):
    """A received page. `signature` is "valid" or "invalid", and None for mail, which has none."""

    received_at: datetime
    channel: str
    to: str
    id: str | None
    signature: str | None
    subject: str
    body: Any
    links: dict[str, str]


class Inbox:
    """The newest pages, kept in memory."""

    def __init__(self, webhook_secrets: str) -> None:
        self.messages: deque[Message] = deque(maxlen=_KEPT)
        self._verifier = Verifier(webhook_secrets)

    def take_webhook(self, path: str, headers: Mapping[str, str], body: bytes) -> bool:
        """Keep a webhook; returns whether its signature is valid."""
        valid = self._verifier.verifies(headers, body)
        content = _parse(body)
        data = content.get("data") if isinstance(content, dict) else None
        data = data if isinstance(data, dict) else {}
        self.messages.append(
            Message(
                received_at=datetime.now(UTC),
                channel="webhook",
                to=path,
                id=headers.get("webhook-id"),
                signature="valid" if valid else "invalid",
                subject=_subject(data),
                body=content,
                links=_links(data),
            )
        )
        return valid

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        """Keep a mail (called by aiosmtpd)."""
        raw = envelope.original_content or b""
        mail = email.message_from_bytes(
            raw, _class=email.message.EmailMessage, policy=email.policy.default
        )
        part = mail.get_body(("plain",))
        text = "\n".join(str(part.get_content()).splitlines()) if part else ""
        self.messages.append(
            Message(
                received_at=datetime.now(UTC),
                channel="mail",
                to=", ".join(envelope.rcpt_tos),
                id=mail["Message-ID"],
                signature=None,
                subject=str(mail["Subject"] or ""),
                body=text,
                links={label.lower(): link for label, link in _LINE_WITH_LINK.findall(text)},
            )
        )
        return "250 kept"


def create_app(inbox: Inbox) -> FastAPI:
    """GET / is the inbox for people, GET /messages is JSON (oldest first), POST to any path is a
    webhook.
    """
    app = FastAPI(title="Tocsin inbox", docs_url=None, redoc_url=None)
    template = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True
    ).get_template("inbox.html")

    @app.get("/", response_class=HTMLResponse)
    async def page() -> str:
        return template.render(messages=[*reversed(inbox.messages)])

    @app.get("/messages")
    async def messages() -> list[Message]:
        return [*inbox.messages]

    @app.get("/readyz")
    async def readyz() -> dict[str, bool]:
        return {"ready": True}

    @app.post("/{path:path}")
    async def webhook(path: str, request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MAX_BYTES:
                return Response(status_code=413)
        valid = inbox.take_webhook(f"/{path}", request.headers, bytes(body))
        return Response(status_code=204 if valid else 401)

    return app


def _subject(data: Mapping[str, Any]) -> str:
    fields = (data.get(name) for name in ("priority", "incident", "summary"))
    return " ".join(str(field) for field in fields if field) or "webhook"


def _links(data: Mapping[str, Any]) -> dict[str, str]:
    texts = {name: value for name, value in data.items() if isinstance(value, str)}
    return {name: text for name, text in texts.items() if _LINK.fullmatch(text)}


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


async def serve() -> None:
    """Serve until SIGTERM or SIGINT, on the socket TOCSIN_HTTP_FD and the port of TOCSIN_SMTP."""
    inbox = Inbox(os.environ["TOCSIN_WEBHOOK_SECRET"])
    smtp_port = urlsplit(os.environ["TOCSIN_SMTP"]).port
    loop = asyncio.get_running_loop()
    smtp = await loop.create_server(
        lambda: SMTP(inbox, hostname="inbox.local", data_size_limit=_MAX_BYTES, loop=loop),
        "127.0.0.1",
        smtp_port,
    )
    config = uvicorn.Config(create_app(inbox), log_level="warning", lifespan="off")
    async with smtp:
        await uvicorn.Server(config).serve([inherit(int(os.environ["TOCSIN_HTTP_FD"]))])


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())
