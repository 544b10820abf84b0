"""HTTP/1.1 from anybody: uvicorn's protocol, with bounds on how large the head of a request is, how
long a client may take to send and to receive, and how many connections there are.
"""

import sys
from asyncio import TimerHandle, Transport
from typing import Any

import httptools
import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from shared.http.admission import Admission
from shared.http.network import unmapped
from shared.http.problems import problem_body

MAX_HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 30.0
LINGER_SECONDS = 5.0

_OF_AN_UPGRADE = (b"upgrade", b"http2-settings")


class BoundedHttp(HttpToolsProtocol):
    """Answers with problem+json, and closes, where uvicorn would wait or read without end.

    A timer runs for the head of the first request, for that of a later one once it has begun, and
    for the rest of a body whose request is answered already. uvicorn's own, for an idle connection,
    runs until the next head has begun, whatever else is received.

    A request to upgrade (`Upgrade: h2c`, which some clients send with every first request) is
    served as HTTP/1.1, as RFC 9110 7.8 permits.
    """

    def __init__(self, *arguments: Any, admission: Admission | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._admission = admission or Admission(sys.maxsize)
        self._head_bytes = 0
        self._too_slow: TimerHandle | None = None
        self._linger: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Wait for a request, but not for ever."""
        super().connection_made(transport)
        if self.client:
            self.client = (unmapped(self.client[0]), self.client[1])
        if not self._admission.admit(self, self.client[0] if self.client else None):
            self._refuse(
                503,
                "Too many connections",
                "wait a moment, and send it again",
                b"retry-after: 1\r\n",
            )
            return
        self._await_head()

    def on_message_begin(self) -> None:
        """The head of a request begins."""
        super().on_message_begin()
        self._unset_keepalive_if_required()
        self._head_bytes = 0
        if self._too_slow is None:
            self._await_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header. White space after its value does not belong to it (RFC 9110 5.5)."""
        super().on_header(name, value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        """The head is whole."""
        if self._upgrades():
            return  # it comes again, without the upgrade
        self._stop_waiting()
        self._unset_keepalive_if_required()  # an answer to an earlier request has set it meanwhile
        self._admission.works(self)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is whole."""
        if not self._upgrades():
            self.cycle.more_body = False
            self._stop_lingering()
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """The answer is given. What still comes of the request is read for a while, so that its
        sender sees the answer, and not for ever.
        """
        super().on_response_complete()
        if not self.cycle.response_complete:
            return  # the next request came before
        self._admission.waits(self)
        if self.cycle.more_body:
            self._linger = self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def give_way(self) -> None:
        """Close, since somebody else needs the place."""
        self._admission.leave(self)
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Parse; refuse a head that is still not whole, and too large."""
        self._parse(data)
        if self._too_slow is None:
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse(
                431, "Headers too large", f"headers: send at most {MAX_HEAD_BYTES} bytes of them"
            )

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._stop_waiting()
        self._stop_lingering()
        self._unset_keepalive_if_required()
        self._admission.leave(self)
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """What is not HTTP."""
        self._refuse(400, "Invalid request", f"{msg} Send HTTP/1.1 as in RFC 9112.")

    def _parse(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._continue_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("This is not HTTP.")

    def _upgrades(self) -> bool:
        # CONNECT is an upgrade without the header, and goes the usual way: to an error.
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

    def _continue_without_upgrade(self, rest: bytes) -> None:
        """The parser reads nothing behind the head of a request that asks for another protocol: a
        new one gets the head again without the asking, and then what follows.
        """
        if not self._upgrades():
            self.send_400_response("CONNECT is not served.")
            return
        version = self.parser.get_http_version().encode()
        head = [self.parser.get_method() + b" " + self.url + b" HTTP/" + version]
        for name, value in self.headers:
            if name == b"connection":
                value = _without(value, _OF_AN_UPGRADE)
            if name not in _OF_AN_UPGRADE:
                head.append(name + b": " + value)
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._parse(b"\r\n".join([*head, b"", rest]))

    def _await_head(self) -> None:
        self._too_slow = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        if self._too_slow is not None:
            self._too_slow.cancel()
            self._too_slow = None

    def _stop_lingering(self) -> None:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None

    def _give_up(self) -> None:
        self._refuse(408, "Too slow", f"headers: send them within {HEAD_SECONDS:.0f} seconds")

    def _refuse(self, status: int, title: str, detail: str, headers: bytes = b"") -> None:
        self._stop_waiting()
        body = orjson.dumps(problem_body(status, title, detail))
        head = (
            b"content-type: application/problem+json\r\ncontent-length: %d\r\n" % len(body)
            + headers
            + b"connection: close\r\n\r\n"
        )
        answering = (
            self.cycle is not None
            and self.cycle.response_started
            and not self.cycle.response_complete
        )
        if not answering:  # in the middle of another answer nothing else can be said
            self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.close()


def _without(value: bytes, tokens: tuple[bytes, ...]) -> bytes:
    """A list of tokens without some of them."""
    listed = (token.strip() for token in value.split(b","))
    return b", ".join(token for token in listed if token.lower() not in tokens)
