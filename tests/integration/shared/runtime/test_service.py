"""A service that is given too many connections, or too few descriptors, goes on."""

import asyncio
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import aiohttp
import pytest

from shared.http.server import listen
from tests.support.running import eventually, free_port

PROGRAM = """
import asyncio
import uvloop
from fastapi import Request
from shared.http.app import create_app
from shared.postgres.database import Database
from shared.runtime.service import run_service
from shared.runtime.settings import load_settings

database = Database("postgresql://nobody@127.0.0.1:1/nothing", application="tests")
app = create_app("Tests")


@app.get("/hello")
async def hello(request: Request) -> dict[str, str]:
    return {"client": request.client.host, "scheme": request.url.scheme}


@app.get("/endless")
async def endless(request: Request) -> None:
    while not await request.is_disconnected():
        await asyncio.sleep(0.1)


uvloop.run(run_service("tests", load_settings(), app, database, {}))
"""
GET = b"GET /hello HTTP/1.1\r\nHost: tests\r\n\r\n"


@dataclass
class Running:
    """A service of no component, in a process of its own."""

    process: asyncio.subprocess.Process
    address: tuple[str, int]
    probes: str

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=20)

    async def curl(self, path: str, *options: str) -> tuple[int, str]:
        """Status and body of an answer to curl; `path` may be a whole address."""
        if shutil.which("curl") is None:
            pytest.skip("curl is not installed")
        url = f"http://{self.address[0]}:{self.address[1]}{path}" if path[0] == "/" else path
        command = ["curl", "-sS", "-w", "%{http_code}", "--max-time", "20", *options, url]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        said = (await process.communicate())[0].decode()
        return int(said[-3:]), said[:-3]

    async def lives(self) -> bool:
        assert self.process.returncode is None, "the process has ended"
        try:
            async with aiohttp.ClientSession() as http:
                url = f"http://{self.address[0]}:{self.address[1]}/hello"
                async with http.get(url) as answer:
                    return answer.status == 200
        except aiohttp.ClientError:
            return False


@asynccontextmanager
async def service(limits: str, **settings: str) -> AsyncIterator[Running]:
    """The service under `limits` of the shell, such as `ulimit -n 256`."""
    listening, probes_port = listen("127.0.0.1", 0), free_port()
    os.set_inheritable(listening.fileno(), True)
    process = await asyncio.create_subprocess_exec(
        "/bin/bash",
        *("-c", f'{limits}; exec "$0" -c "$1"', sys.executable, PROGRAM),
        pass_fds=[listening.fileno()],
        env={
            **os.environ,
            "TOCSIN_HTTP_FD": str(listening.fileno()),
            "TOCSIN_PROBES_PORT": str(probes_port),
            "TOCSIN_GAUGES_SECONDS": "0.05",
            **settings,
        },
    )
    try:
        running = Running(process, listening.getsockname(), f"http://127.0.0.1:{probes_port}")
        listening.close()
        await eventually("it serves", running.lives)
        yield running
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        async with asyncio.timeout(30):
            await process.wait()


async def test_connections_that_do_nothing_keep_nobody_out() -> None:
    async with service("ulimit -n 256") as running:
        busy = running.connect()
        busy.sendall(GET.replace(b"/hello", b"/endless"))
        silent = [running.connect() for _ in range(400)]
        assert await asyncio.to_thread(last_words, silent[0]) == b""  # the oldest gave way
        silent[-1].sendall(GET)
        assert (await asyncio.to_thread(one_answer, silent[-1])).startswith(b"HTTP/1.1 200 ")
        assert await running.lives()
        for _ in range(20):  # the gauges are read meanwhile
            await asyncio.sleep(0.02)
            assert running.process.returncode is None
        busy.settimeout(0.1)
        with pytest.raises(TimeoutError):  # who waits for an answer did not give way
            busy.recv(1)
        for one in silent:
            one.close()
        busy.close()


async def test_more_requests_than_descriptors_are_refused_and_end_nothing() -> None:
    async with service("ulimit -n 256") as running:
        busy = [running.connect() for _ in range(192)]
        for one in busy:
            one.sendall(GET.replace(b"/hello", b"/endless"))

        async def full() -> bool:
            with running.connect() as late:
                late.settimeout(0.3)  # where one is free yet, it is taken and waits
                with suppress(TimeoutError):
                    said = await asyncio.to_thread(last_words, late)
                    return said.startswith(b"HTTP/1.1 503 ") and b"retry-after: 1\r\n" in said
                return False

        await eventually("newcomers are refused", full)
        assert (await running.curl(running.probes + "/livez"))[0] == 200
        for one in busy:
            one.close()
        await eventually("newcomers are served again", running.lives)


async def test_a_client_has_so_many_connections_unless_it_is_a_proxy() -> None:
    bound = {"TOCSIN_HTTP_CONNECTIONS_PER_CLIENT": "5"}
    async with service("true", **bound) as running:
        crowd = [running.connect() for _ in range(6)]
        assert await asyncio.to_thread(last_words, crowd[0]) == b""
        crowd[1].sendall(GET)
        assert (await asyncio.to_thread(one_answer, crowd[1])).startswith(b"HTTP/1.1 200 ")
        for one in crowd:
            one.close()
    async with service("true", TOCSIN_TRUSTED_PROXIES="127.0.0.0/8", **bound) as running:
        crowd = [running.connect() for _ in range(20)]
        crowd[0].sendall(GET)
        assert (await asyncio.to_thread(one_answer, crowd[0])).startswith(b"HTTP/1.1 200 ")
        for one in crowd:
            one.close()


async def test_only_a_trusted_proxy_says_whom_it_forwards_for() -> None:
    forwarded = (
        *("-H", "X-Forwarded-For: 203.0.113.1, 198.51.100.7, 127.0.0.9"),
        *("-H", "X-Forwarded-Proto: https"),
    )
    async with service("true") as running:
        said = await running.curl("/hello", *forwarded)
    assert said == (200, '{"client":"127.0.0.1","scheme":"http"}')
    async with service("true", TOCSIN_TRUSTED_PROXIES="10.0.0.0/8, 127.0.0.0/8") as running:
        said = await running.curl("/hello", *forwarded)
    assert said == (200, '{"client":"198.51.100.7","scheme":"https"}')


async def test_only_allowed_host_names_are_served_but_for_probes() -> None:
    names = "tocsin.example.com, *.tocsin.svc, 127.0.0.1, ::1"
    async with service("true", TOCSIN_ALLOWED_HOSTS=names) as running:
        for host, status in {
            "tocsin.example.com": 200,
            "Tocsin.Example.com.:8443": 200,
            "intake.tocsin.svc": 200,
            "[::1]:8080": 200,
            "tocsin.svc": 421,
            "example.com": 421,
            "evil-tocsin.example.com": 421,
            "tocsin.example.com.evil.example": 421,
            "": 421,
        }.items():
            answer = await running.curl("/hello", "-H", f"Host: {host}" if host else "Host;")
            assert answer[0] == status, host
        said = await running.curl("/hello", "-H", "Host: evil.example")
        assert "TOCSIN_ALLOWED_HOSTS" in said[1]
        said = await running.curl(running.probes + "/livez", "-H", "Host: evil.example")
        assert said[0] == 200


async def test_probes_and_metrics_have_a_port_of_their_own() -> None:
    async with service("ulimit -n 256") as running, aiohttp.ClientSession() as http:
        crowd = [running.connect() for _ in range(250)]  # more than the other port takes
        for path, status in (("/livez", 200), ("/metrics", 200), ("/readyz", 503)):
            async with http.get(running.probes + path) as answer:
                assert answer.status == status, path
                text = await answer.text()
        assert "postgres" in text  # no database is there
        for one in crowd:
            one.close()
        await eventually("the other port is served again", running.lives)
        address = f"http://{running.address[0]}:{running.address[1]}"
        for path in ("/livez", "/metrics", "/readyz"):
            async with http.get(address + path) as answer:
                assert answer.status == 404, path
        async with http.get(running.probes + "/hello") as answer:
            assert answer.status == 404


async def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    async with service("ulimit -H -n 1024; ulimit -S -n 64") as running:
        many = [running.connect() for _ in range(200)]
        many[-1].sendall(GET)
        assert (await asyncio.to_thread(one_answer, many[-1])).startswith(b"HTTP/1.1 200 ")
        for one in many:
            one.close()


async def test_an_idle_connection_is_kept_as_long_as_the_setting_says() -> None:
    async with service("true", TOCSIN_HTTP_KEEP_ALIVE="1") as running:
        with running.connect() as idle, suppress(ConnectionError):
            idle.sendall(GET)
            await asyncio.to_thread(one_answer, idle)
            async with asyncio.timeout(30):
                while True:  # what is no request does not keep it open
                    idle.sendall(b"\r\n")
                    await asyncio.sleep(0.05)
        with running.connect() as idle:
            idle.sendall(GET)
            answer = await asyncio.to_thread(last_words, idle)
        assert answer.startswith(b"HTTP/1.1 200 ")  # and then it was closed
    async with service("true") as running:
        with running.connect() as idle:
            for _ in range(2):
                idle.sendall(GET)
                assert (await asyncio.to_thread(one_answer, idle)).startswith(b"HTTP/1.1 200 ")
            idle.settimeout(5.5)  # uvicorn's own time-out is 5 s
            with pytest.raises(TimeoutError):
                await asyncio.to_thread(idle.recv, 1)


def one_answer(connection: socket.socket) -> bytes:
    """Up to the end of its body, a JSON object."""
    answer = b""
    while not answer.endswith(b"}"):
        part = connection.recv(4096)
        assert part, "the connection was closed"
        answer += part
    return answer


def last_words(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    parts = []
    while part := connection.recv(4096):
        parts.append(part)
    return b"".join(parts)
