"""What commands say when a service does not answer as it should."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from shared.http.client import Api, ApiError

Answer = tuple[int, str, bytes]


@contextmanager
def answering(answer: Answer) -> Iterator[tuple[str, list[tuple[str, str, str | None, bytes]]]]:
    seen: list[tuple[str, str, str | None, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen.append((self.command, self.path, self.headers.get("Authorization"), body))
            status, content_type, answered = answer
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(answered)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def said(call: Callable[[], object]) -> str:
    with pytest.raises(ApiError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    assert "hunter2" not in text
    return text


def test_an_answer_is_its_json_object() -> None:
    with answering((200, "application/json; charset=utf-8", b'{"a": 1}')) as (address, seen):
        api = Api(f"{address}/", "TOCSIN_CONSOLE_URL", token="hunter2")
        assert api.get("/v1/incidents", {"team": "a b"}) == {"a": 1}
        assert api.post("/v1/incidents/1042/acknowledge", {"by": "ana"}) == {"a": 1}
    assert seen == [
        ("GET", "/v1/incidents?team=a+b", "Bearer hunter2", b""),
        ("POST", "/v1/incidents/1042/acknowledge", "Bearer hunter2", b'{"by": "ana"}'),
    ]
    assert "hunter2" not in repr(api)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (
            (404, "application/problem+json", b'{"detail": "there is no INC-7"}'),
            "there is no INC-7",
        ),
        ((502, "text/html", b"<h1>Bad gateway</h1>"), "answered HTTP 502 without a JSON object"),
        ((200, "text/html", b"<h1>A login</h1>"), "answered HTTP 200 without a JSON object"),
        ((200, "application/json", b"[]"), "answered HTTP 200 without a JSON object"),
        ((200, "application/json", b'{"cut'), "answered HTTP 200 without a JSON object"),
        ((500, "application/json", b'{"detail": 7}'), "answered HTTP 500 without a JSON object"),
        ((307, "text/plain", b""), "answered HTTP 307 without a JSON object"),
    ],
)
def test_any_other_answer_is_refused_in_one_line(answer: Answer, text: str) -> None:
    with answering(answer) as (address, seen):
        line = said(lambda: Api(address, "TOCSIN_CONSOLE_URL", "hunter2").get("/v1/incidents"))
    assert text in line
    assert answer[1].endswith("problem+json") or "TOCSIN_CONSOLE_URL" in line
    assert len(seen) == 1


def test_nobody_there_names_the_setting() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        line = said(lambda: Api(address, "TOCSIN_ESCALATION_URL").get("/v1/incidents"))
    assert line == f"no answer from {address} (TOCSIN_ESCALATION_URL): connection refused"


def test_a_service_that_hangs_is_given_up() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        line = said(lambda: Api(address, "TOCSIN_CONSOLE_URL", seconds=0.2).get("/v1/incidents"))
    assert line == f"no answer from {address} (TOCSIN_CONSOLE_URL): nothing within 0.2 seconds"


@pytest.mark.parametrize("address", ["", "localhost:8083", "ftp://host", "http://", "http://a:b"])
def test_an_address_that_is_none_names_the_setting(address: str) -> None:
    line = said(lambda: Api(address, "TOCSIN_CONSOLE_URL").get("/v1/incidents"))
    assert line == "TOCSIN_CONSOLE_URL is not an http:// or https:// address"
