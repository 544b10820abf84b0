"""Requests as clients really send them reach the application whole."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from fastapi import Request

from shared.http import protocol
from shared.http.app import JsonResponse, create_app
from tests.support.http import served

UPGRADE = (
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAA\r\n"
)
LENGTH = b"Content-Length: 9\r\n\r\n" + b'{"a": 12}'
CHUNKED = b'Transfer-Encoding: chunked\r\n\r\n4\r\n{"a"\r\n5\r\n: 12}\r\n0\r\n\r\n'
JAVA = """
import java.net.URI;
import java.net.http.*;
public class Post {
  public static void main(String[] arguments) throws Exception {
    HttpClient client = HttpClient.newHttpClient();
    for (int n = 0; n < 2; n++) {
      HttpRequest request = HttpRequest.newBuilder(URI.create(arguments[0]))
          .POST(HttpRequest.BodyPublishers.ofString("{\\"a\\": 12}")).build();
      System.out.println(client.send(request, HttpResponse.BodyHandlers.ofString()).body());
    }
  }
}
"""


@pytest.fixture
async def base() -> AsyncIterator[str]:
    app = create_app("Echo")

    @app.api_route("/echo", methods=["GET", "POST"])
    async def echo(request: Request) -> dict[str, str]:
        body = (await request.body()).decode()
        return {"said": f"{request.method} {body}", "plain": request.headers.get("x-plain", "")}

    @app.post("/unread")
    async def unread() -> JsonResponse:
        return JsonResponse({"said": "too large"}, 413)

    async with served(app) as base:
        yield base


async def talk(base: str, pieces: Sequence[bytes]) -> bytes:
    """All that is answered to these packets."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(base.rpartition(":")[2]))
    try:
        async with asyncio.timeout(20):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.01 if len(pieces) < 50 else 0)  # a packet of its own
            writer.write_eof()
            return await reader.read()
    finally:
        writer.close()


def head(method: str, extra: str = UPGRADE, close: bool = False) -> bytes:
    closing = extra.replace("Connection: ", "Connection: close, ") if close else extra
    return f"{method} /echo HTTP/1.1\r\nHost: x\r\n{closing}".encode()


@pytest.mark.parametrize("body", [LENGTH, CHUNKED], ids=["with its length", "in chunks"])
@pytest.mark.parametrize("packets", ["one", "head and body", "byte by byte"])
async def test_a_body_behind_an_upgrade_is_not_lost(base: str, body: bytes, packets: str) -> None:
    whole = head("POST", close=True) + body
    split = whole.index(b"\r\n\r\n") + 4
    pieces = {
        "one": [whole],
        "head and body": [whole[:split], whole[split:]],
        "byte by byte": [whole[n : n + 1] for n in range(len(whole))],
    }[packets]
    answer = await talk(base, pieces)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'"POST {\\"a\\": 12}"' in answer


async def test_without_a_body_it_is_an_ordinary_request(base: str) -> None:
    answer = await talk(base, [head("GET", close=True) + b"\r\n"])
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'"GET "' in answer


async def test_what_follows_on_the_connection_is_served_too(base: str) -> None:
    post, plain = head("POST") + LENGTH, head("POST", "Connection: close\r\n") + LENGTH
    answer = await talk(base, [head("GET") + b"\r\n" + post + head("POST") + CHUNKED + plain])
    assert answer.count(b"HTTP/1.1 200 ") == 4
    assert answer.count(b'"POST {\\"a\\": 12}"') == 3


UNREAD = b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"


async def test_who_has_an_answer_and_goes_on_sending_slowly_is_disconnected(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "LINGER_SECONDS", 0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(base.rpartition(":")[2]))
    async with asyncio.timeout(20):
        writer.write(UNREAD)
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 413 ")
        sent = 0
        with suppress(ConnectionError):
            while not reader.at_eof():
                writer.write(b"x")
                await writer.drain()
                sent += 1
                await asyncio.sleep(0.02)
    assert 0 < sent < 999
    writer.close()


async def test_who_sends_the_rest_soon_is_served_on(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "LINGER_SECONDS", 0.5)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(base.rpartition(":")[2]))
    async with asyncio.timeout(20):
        for _ in range(3):
            writer.write(UNREAD)
            assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 413 ")
            writer.write(b"x" * 1000)
            await asyncio.sleep(0.3)  # the time of an earlier rest does not count for a later one
        writer.write(head("POST", "") + LENGTH)
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200 ")
    writer.close()


@pytest.mark.parametrize("protocol", ["h2c", "websocket", "TLS/1.0, HTTP/2.0", "foo/2"])
async def test_no_protocol_is_changed_to(base: str, protocol: str) -> None:
    extra = f"Connection: close, upgrade\r\nUpgrade: {protocol}\r\n"
    answer = await talk(base, [head("POST", extra) + LENGTH])
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"12}" in answer


async def test_the_bound_on_a_head_holds_behind_an_upgrade(base: str) -> None:
    many = b"X: x\r\n" * 20_000
    answer = await talk(base, [head("POST"), many])
    assert answer.startswith(b"HTTP/1.1 431 ")


async def test_connect_is_refused(base: str) -> None:
    answer = await talk(base, [b"CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n" + LENGTH])
    assert answer.startswith(b"HTTP/1.1 4")


@pytest.mark.parametrize("value", ["plain", "plain ", "plain\t", "plain \t ", "\t plain  "])
async def test_white_space_around_a_value_is_not_part_of_it(base: str, value: str) -> None:
    extra = f"Connection: close\r\nX-Plain:{value}\r\n"
    answer = await talk(base, [head("GET", extra) + b"\r\n"])
    assert b'"plain":"plain"' in answer


async def test_curl_with_http2_is_served(base: str) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    arguments = ["-sS", "--http2", "-d", '{"a": 12}', f"{base}/echo"]
    assert b'"POST {\\"a\\": 12}"' in await output(curl, *arguments)


async def test_the_client_of_the_jdk_is_served(base: str, tmp_path: Path) -> None:
    java = shutil.which("java")
    if java is None or b"java.net.http@" not in await output(java, "--list-modules"):
        pytest.skip("no JDK with its HTTP client is installed")
    source = tmp_path / "Post.java"
    source.write_text(JAVA)
    lines = (await output(java, str(source), f"{base}/echo")).decode().splitlines()
    assert [line.count('"POST {\\"a\\": 12}"') for line in lines] == [1, 1]


async def output(*command: str) -> bytes:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(60):
        stdout, _ = await process.communicate()
    return stdout
