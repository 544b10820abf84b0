"""Webhook receivers that misbehave: pages are retried as the domain decides, and nobody else's
pages are delayed.
"""

import gzip
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from email.utils import format_datetime

import pytest

from tests.support.escalating import TEAMS, Receiver, World, receiver, sending, world
from tests.support.misbehaving import (
    Behaviour,
    Misbehaving,
    disconnect,
    drips,
    floods,
    hang,
    misbehaving,
    says,
    then_drips,
)
from tests.support.running import eventually

TIMEOUT_SECONDS = 1
LONG_TIMEOUT_SECONDS = 10  # for receivers that respond at once, on a busy machine too
OK = b"HTTP/1.1 200 OK\r\n"
BROKE_OFF = "the connection broke off"
TIMED_OUT = "timed out"

FAILING: dict[str, tuple[Behaviour, str, bool]] = {
    "hangs": (hang, TIMED_OUT, True),
    "sends its head byte by byte": (drips(OK * 100), TIMED_OUT, True),
    "disconnects at once": (disconnect, BROKE_OFF, True),
    "disconnects in its status": (says(b"HTTP/1.1 2"), BROKE_OFF, True),
    "disconnects in its headers": (says(OK + b"Content-Length: 0\r\n"), BROKE_OFF, True),
    "does not speak HTTP": (says(b"\x16\x03\x01\x02\x00\xff\r\n\r\n"), BROKE_OFF, True),
    "speaks another protocol": (says(b"220 mail.example ESMTP\r\n"), BROKE_OFF, True),
    "sends endless headers": (floods(OK, b"X-Long: " + b"x" * 4000 + b"\r\n"), BROKE_OFF, True),
    "sends one endless header": (floods(OK + b"X-Long: ", b"x" * 4096), BROKE_OFF, True),
    "answers 500": (says(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"), "HTTP 500", False),
    "answers 500 and sends its body byte by byte": (
        then_drips(b"HTTP/1.1 500 Oh\r\nContent-Length: 100\r\n\r\n"),
        "HTTP 500",
        False,
    ),
    "answers 999": (says(b"HTTP/1.1 999 Oh\r\nContent-Length: 0\r\n\r\n"), "HTTP 999", False),
}
"""Behaviour, error in the ledger, and whether the receiver may have the page nevertheless."""

ACCEPTING: dict[str, Behaviour] = {
    "its body comes byte by byte": then_drips(OK + b"Content-Length: 1000\r\n\r\n"),
    "its body is endless": floods(
        OK + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65536 + b"\r\n"
    ),
    "its body is a compression bomb": floods(
        OK + b"Content-Encoding: gzip\r\nContent-Length: 1000000000\r\n\r\n",
        gzip.compress(b"\0" * 100_000_000),
    ),
    "its body is not of its content encoding": says(
        OK + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope"
    ),
}


def teams_at(url: str) -> str:
    """Ana's only contact method is a webhook at this address; Ben's receiver works."""
    return TEAMS.replace('webhook: "{url}/ana"', f'webhook: "{url}/ana", methods: [webhook]')


@asynccontextmanager
async def paging(
    database: str, url: str, timeout: float = LONG_TIMEOUT_SECONDS
) -> AsyncIterator[tuple[World, Receiver]]:
    """Escalation that pages Ana at `url`, and the receiver of all others."""
    async with (
        receiver() as others,
        world(database, others.url, timeout=timeout, teams=teams_at(url)) as it,
        sending(it, timeout=timeout),
    ):
        yield it, others


@pytest.mark.parametrize("case", FAILING)
async def test_a_failed_page_is_retried_under_one_id_and_the_next_step_is_on_time(
    database: str, case: str
) -> None:
    behaviour, error, uncertain = FAILING[case]
    timeout = (
        TIMEOUT_SECONDS if error == TIMED_OUT or "byte by byte" in case else LONG_TIMEOUT_SECONDS
    )
    async with misbehaving(behaviour) as bad, paging(database, bad.url, timeout) as (it, others):
        await it.triaged(1042)
        row = await it.page("pending", attempts=1)
        assert (row["last_error"], row["possible_duplicate"]) == (error, uncertain)
        assert timedelta(seconds=4) <= row["due_at"] - row["started_at"] < timedelta(seconds=10)
        await it.jump(seconds=10)
        row = await it.page("pending", attempts=2)
        await it.jump(seconds=60)
        await it.fire_due()
        ben = await it.page("sent", user_id="ben")
    assert set(bad.keys) == {row["attempt_key"]}, "all attempts have the same id"
    assert [hit.key for hit in others.hits] == [ben["attempt_key"]]
    failed = [event["data"] for _, event in await it.told("PageFailed")]
    assert {(one["error"], one["final"], one["page"]["possible_duplicate"]) for one in failed} == {
        (error, False, uncertain)
    }


@pytest.mark.parametrize("case", ACCEPTING)
async def test_a_page_counts_as_delivered_once_its_status_has_arrived(
    database: str, case: str
) -> None:
    async with misbehaving(ACCEPTING[case]) as bad, paging(database, bad.url) as (it, _):
        await it.triaged(1042)
        row = await it.page("sent")
        await eventually("the sender closes the connection", lambda: _closed(bad))
    assert (row["attempts"], row["possible_duplicate"], bad.keys) == (
        1,
        False,
        [row["attempt_key"]],
    )


async def _closed(bad: Misbehaving) -> bool:
    return bad.open == 0


async def test_retry_after_is_honoured_in_both_forms_within_five_minutes(database: str) -> None:
    async with receiver() as bad, paging(database, bad.url) as (it, _):
        now = it.clock()
        date = format_datetime
        asked = {
            "120": 120,
            " 120 ": 120,
            date(now + timedelta(seconds=120), usegmt=True): 120,
            "315360000": 300,
            "9" * 400: 300,
            date(now + timedelta(days=3650), usegmt=True): 300,
            "-5": 5,
            "soon": 5,
            "1e9": 5,
            date(now - timedelta(days=3650), usegmt=True): 5,
            "Fri, 99 Foo 99999 99:99:99 GMT": 5,
        }
        for number, (header, seconds) in enumerate(asked.items()):
            bad.status(429 if number % 2 else 503, **{"Retry-After": header})
            (id,) = await it.triaged(number)
            row = await it.page("pending", incident_id=id, attempts=1)
            waits = (row["due_at"] - row["started_at"]).total_seconds()
            assert seconds * 0.79 <= waits <= seconds * 1.21 + 2, header


async def test_retry_after_is_not_shortened(database: str) -> None:
    async with receiver() as bad, paging(database, bad.url) as (it, _):
        bad.status(429, **{"Retry-After": "50"})
        (early,) = await it.triaged(1)
        await it.page("pending", incident_id=early, attempts=1)
        bad.status(200)
        await it.jump(seconds=40)
        (other,) = await it.triaged(2)
        await it.page("sent", incident_id=other)
        assert len(bad.hits) == 2, "the sender has polled, and the page was not due"
        await it.jump(seconds=11)
        await it.page("sent", incident_id=early, attempts=2)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_never_followed(database: str, status: int) -> None:
    async with receiver() as inside, receiver() as bad, paging(database, bad.url) as (it, _):
        port = inside.url.rpartition(":")[2]
        targets = (
            inside.url,
            f"http://[::ffff:127.0.0.1]:{port}/",
            "http://169.254.169.254/",
            "//x",
            "file:///etc",
        )
        for number, target in enumerate(targets):
            bad.status(status, Location=target)
            (id,) = await it.triaged(number)
            row = await it.page("failed", incident_id=id)
            assert row["last_error"] == f"HTTP {status} (redirects are not followed)"
    assert {hit.path for hit in bad.hits} == {"/ana"}
    assert inside.hits == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """Self-signed."""
    folder = tmp_path_factory.mktemp("tls")
    key, chain = folder / "key.pem", folder / "cert.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256"
        " -nodes -days 2 -subj /CN=127.0.0.1"
    )
    subprocess.run(
        [*command.split(), "-keyout", key, "-out", chain], check=True, capture_output=True
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain, key)
    return context


async def test_an_untrusted_certificate_is_a_tls_failure_that_is_retried(
    database: str, certificate: ssl.SSLContext
) -> None:
    async with misbehaving(says(OK), certificate) as bad, paging(database, bad.url) as (it, _):
        await it.triaged(1042)
        row = await it.page("pending", attempts=1)
    assert (row["last_error"], row["possible_duplicate"], bad.keys) == ("TLS failed", False, [])


async def test_many_users_at_one_hanging_host_do_not_delay_those_at_another(database: str) -> None:
    names = [f"user{number}" for number in range(200)]
    async with misbehaving(hang) as bad, receiver() as others:
        users = "".join(
            f'  {n}: {{{{name: N, email: n@x.example, webhook: "{bad.url}/{n}"}}}}\n' for n in names
        )
        targets = ", ".join(f'"user:{name}"' for name in names)
        teams = TEAMS.replace("teams:\n", f"{users}teams:\n  many: {{{{policy: many}}}}\n")
        teams += f"  many:\n    steps:\n      - {{{{targets: [{targets}], wait: 7d}}}}\n"
        async with (
            world(database, others.url, teams=teams, timeout=60) as it,
            sending(it, timeout=60),
        ):
            await it.triaged(*range(2), team="many")
            await eventually("the hanging host holds a page of each user", lambda: _holds(bad, 200))
            await it.triaged(*range(100, 110))
            await eventually("the other host has its pages", lambda: _hits(others, 10))
            assert bad.open
    assert len({hit.key for hit in others.hits}) == 10


async def _holds(bad: Misbehaving, count: int) -> bool:
    return bad.open >= count


async def _hits(others: Receiver, count: int) -> bool:
    return len(others.hits) == count
