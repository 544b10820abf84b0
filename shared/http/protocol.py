"""HTTP from anybody: uvicorn's protocol, with bounds on how large the head of a request is and how
long it takes.
"""

from asyncio import TimerHandle, Transport
from typing import Any

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 30.0


class BoundedHttp(HttpToolsProtocol):
    """What uvicorn would hold for ever, or keep without end, is answered with problem+json and cut."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head_bytes = 0
        self._too_slow: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Wait for a request, but not for ever."""
        super().connection_made(transport)
        self._await_head()

    def on_message_begin(self) -> None:
        """The head of a request begins."""
        super().on_message_begin()
        self._head_bytes = 0
        if self._too_slow is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        """It is whole."""
        self._stop_waiting()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Parse; refuse a head that is still not whole, and too large."""
        super().data_received(data)
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
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP."""
        self._refuse(400, "Invalid request", f"{msg} Send HTTP/1.1 as in RFC 9112.")

    def _await_head(self) -> None:
        self._too_slow = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        if self._too_slow is not None:
            self._too_slow.cancel()
            self._too_slow = None

    def _give_up(self) -> None:
        self._refuse(408, "Too slow", f"headers: send them within {HEAD_SECONDS:.0f} seconds")

    def _refuse(self, status: int, title: str, detail: str) -> None:
        self._stop_waiting()
        body = orjson.dumps(
            {"type": "about:blank", "title": title, "status": status, "detail": detail}
        )
        head = (
            b"content-type: application/problem+json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
            % len(body)
        )
        answering = (
            self.cycle is not None
            and self.cycle.response_started
            and not self.cycle.response_complete
        )
        if not answering:  # in the middle of another answer there is nothing to say
            self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.close()
