"""The local inbox shows what was sent and whether its signature is valid."""

import json
import smtplib
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from deploy.local import ports
from deploy.local.server import Server
from tests.support.stack import until

SECRET = "whsec_c2VjcmV0LW9mLXRoZS1sb2NhbC1zdGFjaw=="
OTHER_SECRET = "whsec_c2VjcmV0LW9mLXNvbWVib2R5LWVsc2U="
PAGE = {
    "type": "tocsin.page",
    "data": {
        "priority": "P1",
        "incident": "INC-7",
        "summary": "<b>down</b>",
        "acknowledge_url": "http://127.0.0.1/ack",
    },
}


class Inbox:
    """A running inbox, as senders and readers use it."""

    def __init__(self, http_port: int, smtp_port: int) -> None:
        self.url, self.smtp_port = ports.url(http_port), smtp_port

    def post(self, path: str, body: str, headers: Mapping[str, str]) -> int:
        request = urllib.request.Request(self.url + path, body.encode(), dict(headers))
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return str(answer.read().decode())

    @property
    def messages(self) -> list[dict[str, Any]]:
        return list(json.loads(self.get("/messages")))


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inbox]:
    http_port, smtp_port = ports.choose(2)
    env = {"TOCSIN_WEBHOOK_SECRET": SECRET, "TOCSIN_SMTP": f"smtp://127.0.0.1:{smtp_port}"}
    log: Path = tmp_path_factory.mktemp("inbox") / "inbox.log"
    server = Server("inbox", ["deploy.local.inbox"], http_port, env, log)
    server.start()
    until(lambda: server.problem() is None)
    yield Inbox(http_port, smtp_port)
    server.stop()


def signed(body: str, secret: str = SECRET) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "webhook-id": "attempt-1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("attempt-1", now, body),
    }


def test_a_signed_page_is_kept_with_its_links(inbox: Inbox) -> None:
    body = json.dumps(PAGE)

    assert inbox.post("/pages/ana", body, signed(body)) == 204

    message = inbox.messages[-1]
    assert (message["to"], message["signature"], message["id"]) == (
        "/pages/ana",
        "valid",
        "attempt-1",
    )
    assert message["subject"] == "P1 INC-7 <b>down</b>"
    assert message["links"] == {"acknowledge_url": "http://127.0.0.1/ack"}
    assert "&lt;b&gt;down&lt;/b&gt;" in inbox.get("/")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        pytest.param("{}", signed('{"other": 1}'), id="changed on the way"),
        pytest.param("{}", signed("{}", OTHER_SECRET), id="another secret"),
        pytest.param("not json", {}, id="not signed at all"),
    ],
)
def test_a_page_with_an_invalid_signature_is_marked(
    inbox: Inbox, body: str, headers: dict[str, str]
) -> None:
    assert inbox.post("/pages/ben", body, headers) == 401
    assert (inbox.messages[-1]["to"], inbox.messages[-1]["signature"]) == ("/pages/ben", "invalid")


def test_a_mail_is_kept(inbox: Inbox) -> None:
    mail = EmailMessage()
    mail["Subject"] = "[P1] INC-7 Kasse fällt aus"
    mail.set_content("Checkout is down.\n\nAcknowledge  http://127.0.0.1/ack\n")

    with smtplib.SMTP("127.0.0.1", inbox.smtp_port) as smtp:
        smtp.send_message(mail, "tocsin@localhost", ["cleo@example.com"])

    message = inbox.messages[-1]
    assert (message["channel"], message["to"]) == ("mail", "cleo@example.com")
    assert message["subject"] == "[P1] INC-7 Kasse fällt aus"
    assert message["links"] == {"acknowledge": "http://127.0.0.1/ack"}


def test_a_page_that_is_too_large_is_refused(inbox: Inbox) -> None:
    assert inbox.post("/pages/ana", "x" * 300_000, {}) == 413
