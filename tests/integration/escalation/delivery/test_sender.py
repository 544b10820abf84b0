"""Delivering pages for real: webhooks and mail on loopback, failures, retries, crashes, and races
with people.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from services.escalation.delivery.sender import Sender
from services.escalation.delivery.store import claim_deliveries
from shared.postgres.connection import Connection
from shared.postgres.database import Database
from tests.support.escalating import (
    Hit,
    Mailbox,
    Receiver,
    World,
    mail_server,
    receiver,
    sending,
    world,
)
from tests.support.running import SECRET, eventually


@dataclass
class People:
    """Where pages arrive."""

    webhooks: Receiver
    mailbox: Mailbox
    smtp: str


@pytest.fixture
async def people() -> AsyncIterator[People]:
    async with receiver() as webhooks, mail_server() as (mailbox, smtp):
        yield People(webhooks, mailbox, smtp)


@pytest.fixture
async def it(database: str, people: People) -> AsyncIterator[World]:
    async with world(database, people.webhooks.url, people.smtp) as made:
        yield made


async def test_a_page_is_a_signed_webhook_that_says_what_to_act_on(
    it: World, people: People
) -> None:
    async with sending(it):
        (id,) = await it.triaged(1042)
        row = await it.page("sent")
    (hit,) = people.webhooks.hits
    Webhook(SECRET).verify(hit.body, hit.headers)
    assert (hit.path, hit.key, row["attempts"], row["last_error"]) == (
        "/ana",
        row["attempt_key"],
        1,
        None,
    )
    data = hit.data
    assert (data["incident"], data["incident_id"], data["priority"]) == ("INC-1042", str(id), "P1")
    assert (data["summary"], data["service"], data["team"]) == ("disk full", "checkout", "payments")
    assert data["runbook"] == "https://example.com/runbook"
    assert data["why"] == ["step 1 of policy payments, round 1: user ana"]
    assert data["acknowledge_url"].startswith("http://links/a/")
    assert data["console_url"] == f"http://console/incidents/{id}"
    assert data["trace_id"] == row["traceparent"][3:35] == hit.headers["traceparent"][3:35]
    ((_, sent),) = await it.told("PageSent")
    assert sent["data"]["page"]["attempt_key"] == row["attempt_key"]


async def test_with_two_live_secrets_a_receiver_may_hold_either(
    database: str, people: People
) -> None:
    new = "whsec_" + "bmV3ZXIgc2VjcmV0IG9mIHRoZSB0ZXN0cyAzMiBieXQ="
    async with world(database, people.webhooks.url, secrets=f"{new} {SECRET}") as it, sending(it):
        await it.triaged(1042)
        await it.page("sent")
    (hit,) = people.webhooks.hits
    for secret in (SECRET, new):
        Webhook(secret).verify(hit.body, hit.headers)


async def test_a_page_is_a_mail_with_the_links_in_it(it: World, people: People) -> None:
    async with sending(it):
        await it.triaged(1042, team="both")
        row = await it.page("sent", method="email")
    (mail,) = people.mailbox.mails
    assert (mail["To"], mail["Subject"]) == ("cleo@example.com", "[P1] INC-1042 disk full")
    assert mail["Message-ID"] == f"<{row['attempt_key']}@tocsin>"
    assert "http://links/a/" in mail.get_content()


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_an_overloaded_receiver_gets_the_page_again_under_the_same_id(
    it: World, people: People, status: int
) -> None:
    people.webhooks.status(status, **{"Retry-After": "60"})
    async with sending(it):
        await it.triaged(1042)
        row = await it.page("pending", attempts=1)
        assert row["last_error"] == f"HTTP {status}"
        assert timedelta(seconds=50) < row["due_at"] - row["started_at"] < timedelta(seconds=70), (
            "Retry-After"
        )
        people.webhooks.status(200)
        await it.jump(seconds=61)
        await it.page("sent", attempts=2)
    assert [hit.key for hit in people.webhooks.hits] == [row["attempt_key"]] * 2
    ((_, failed),) = await it.told("PageFailed")
    assert (failed["data"]["error"], failed["data"]["final"]) == (f"HTTP {status}", False)


@pytest.mark.parametrize("status", [400, 404, 410])
async def test_a_receiver_that_is_gone_fails_visibly_and_the_next_method_is_used(
    it: World, people: People, status: int
) -> None:
    people.webhooks.status(status)
    async with sending(it):
        await it.triaged(1042)
        mailed = await it.page("sent", method="email")
    assert mailed["why"][-1] == "webhook failed for good: email is tried"
    assert len(people.webhooks.hits) == len(people.mailbox.mails) == 1
    ((_, failed),) = await it.told("PageFailed")
    assert (failed["data"]["error"], failed["data"]["final"]) == (f"HTTP {status}", True)


async def test_a_redirect_is_not_followed(it: World, people: People) -> None:
    people.webhooks.status(307, Location=f"{people.webhooks.url}/elsewhere")
    async with sending(it):
        await it.triaged(1042)
        failed = await it.page("failed")
    assert failed["last_error"] == "HTTP 307 (redirects are not followed)"
    assert [hit.path for hit in people.webhooks.hits] == ["/ana"]


async def test_a_name_that_resolves_to_a_private_address_is_not_called(
    database: str, people: People
) -> None:
    url = people.webhooks.url.replace("127.0.0.1", "localhost")
    async with world(database, url, people.smtp, allowed=()) as it, sending(it):
        await it.triaged(1042)
        failed = await it.page("failed")
        await it.page("sent", method="email")
    assert failed["last_error"] == "the address is private and not in TOCSIN_ALLOWED_NETWORKS"
    assert not people.webhooks.hits


@pytest.mark.parametrize(
    ("answer", "error"),
    [("450 later", "SMTP 450"), ("550 no such user", "SMTP 550")],
    ids=["passes", "stays"],
)
async def test_mail_is_tried_again_when_the_server_says_later_and_only_then(
    it: World, people: People, answer: str, error: str
) -> None:
    people.mailbox.answer = answer
    async with sending(it):
        await it.triaged(1042, team="both")
        row = await it.page(
            "pending" if "later" in answer else "failed", method="email", attempts=1
        )
    assert row["last_error"] == error


async def test_a_slow_receiver_gets_one_id_and_the_ledger_says_possible_duplicate(
    database: str, people: People
) -> None:
    release = asyncio.Event()

    async def slow(_: Hit) -> web.Response:
        await release.wait()
        return web.Response()

    people.webhooks.answer = slow
    async with world(database, people.webhooks.url, timeout=1) as it, sending(it, timeout=1):
        await it.triaged(1042)
        row = await it.page("pending", attempts=1)
        assert (row["last_error"], row["possible_duplicate"]) == ("timed out", True)
        release.set()
        await it.jump(seconds=10)
        row = await it.page("sent", attempts=2)
    assert row["possible_duplicate"]
    assert [hit.key for hit in people.webhooks.hits] == [row["attempt_key"]] * 2
    ((_, sent),) = await it.told("PageSent")
    assert sent["data"]["page"]["possible_duplicate"]


async def test_the_mail_goes_once_while_the_webhook_fails_for_an_hour(
    it: World, people: People
) -> None:
    people.webhooks.status(503)
    async with sending(it):
        await it.triaged(1042, team="both")
        for attempt in range(1, 8):
            await it.page("pending", method="webhook", attempts=attempt)
            await it.jump(minutes=8)
        await it.page("failed", method="webhook", attempts=8)
        await it.page("sent", method="email", user_id="ana")
        await it.page("sent", method="email", user_id="cleo")
    assert len({hit.key for hit in people.webhooks.hits}) == 1
    assert len(people.webhooks.hits) == 8
    assert Counter(mail["To"] for mail in people.mailbox.mails) == {
        "cleo@example.com": 1,
        "ana@example.com": 1,
    }


async def test_after_an_acknowledgement_no_retry_and_no_step_is_sent(
    it: World, people: People
) -> None:
    people.webhooks.status(503)
    async with sending(it):
        (id,) = await it.triaged(1042)
        await it.page("pending", attempts=1)
        answer = await it.act(id, "acknowledge")
        assert answer.cancelled[0] == "page to ana by webhook (step 1)"
        assert "round 1: step 2: user ben; then 1 min to acknowledge" in answer.cancelled
        people.webhooks.status(200)
        await it.jump(hours=2)
        await it.fire_due()
        (other,) = await it.triaged(1043)
        await it.page("sent", incident_id=other)
    assert [(hit.data["incident"]) for hit in people.webhooks.hits] == ["INC-1042", "INC-1043"]


async def test_pages_and_acknowledgements_in_a_race_never_start_a_page_after_the_answer(
    it: World, people: People
) -> None:
    async with sending(it, senders=2):
        ids = await it.triaged(*range(1, 61))
        started = {}

        async def take(id: object) -> None:
            await it.act(id, "acknowledge")  # type: ignore[arg-type]
            (row,) = await it.rows(
                "SELECT status, attempts FROM deliveries WHERE incident_id = $1", id
            )
            started[str(id)] = row["attempts"]

        await asyncio.gather(*(take(id) for id in ids))
        await eventually("nothing on its way", lambda: _idle(it))
    hits = Counter(hit.data["incident_id"] for hit in people.webhooks.hits)
    assert {id: hits[id] for id in started} == started


async def _idle(it: World) -> bool:
    return all(row["status"] in ("sent", "cut") for row in await it.ledger())


async def test_two_senders_never_send_one_page_at_once(it: World, people: People) -> None:
    async with sending(it, senders=3):
        await it.triaged(*range(1, 101))
        await eventually("all sent", lambda: _idle(it))
    assert len(people.webhooks.hits) == len({hit.key for hit in people.webhooks.hits}) == 100
    assert len(await it.told("PageSent")) == 100


async def test_one_slow_receiver_does_not_hold_up_the_others(database: str, people: People) -> None:
    release = asyncio.Event()

    async def ana_is_slow(hit: Hit) -> web.Response:
        if hit.path == "/ana":
            await release.wait()
        return web.Response()

    people.webhooks.answer = ana_is_slow
    async with world(database, people.webhooks.url, timeout=60) as it, sending(it, timeout=60):
        await it.triaged(*range(1, 101))
        it.clock.jump(seconds=60)
        await it.fire_due()
        await eventually("ben has all his", lambda: _count(people.webhooks, "/ben", 100))
        assert sum(hit.path == "/ana" for hit in people.webhooks.hits) <= 16
        release.set()


async def _count(webhooks: Receiver, path: str, number: int) -> bool:
    return sum(hit.path == path for hit in webhooks.hits) == number


async def test_a_page_whose_sender_died_is_sent_again_once_after_its_lease(
    it: World, people: People
) -> None:
    await it.triaged(1042)
    async with it.database.transaction() as connection:
        now = it.clock()
        (claim,) = await claim_deliveries(connection, now, now + timedelta(minutes=10), {}, 8, 8)
    async with sending(it):
        (other,) = await it.triaged(1043)
        await it.page("sent", incident_id=other)
        assert [hit.data["incident"] for hit in people.webhooks.hits] == ["INC-1043"], (
            "others are not delayed"
        )
        await it.jump(minutes=11)
        row = await it.page("sent", attempt_key=claim.order.attempt_key)
        await it.jump(seconds=60)
    assert (row["attempts"], row["possible_duplicate"]) == (2, True)
    assert [hit.data["incident"] for hit in people.webhooks.hits] == ["INC-1043", "INC-1042"]


async def test_a_result_that_comes_after_its_lease_changes_nothing(
    it: World, people: People
) -> None:
    arrived, release = asyncio.Event(), asyncio.Event()

    async def second_hangs(_: Hit) -> web.Response:
        if len(people.webhooks.hits) == 2:
            arrived.set()
            await release.wait()
            return web.Response(status=404)
        return web.Response()

    people.webhooks.answer = second_hangs
    async with sending(it):
        await it.triaged(1041)
        await it.page("sent")
        await it.triaged(1042)
        await arrived.wait()
        await it.jump(seconds=11)
        await it.page("sent", attempts=2)
        release.set()
    assert [(row["status"], row["last_error"]) for row in await it.ledger()] == [("sent", None)] * 2
    assert not await it.told("PageFailed")


async def test_a_sender_that_stops_records_what_arrived_although_another_page_hangs(
    it: World, people: People
) -> None:
    hangs, arrives = asyncio.Event(), asyncio.Event()

    async def answer(hit: Hit) -> web.Response:
        if hit.data["incident"] != "INC-1041":
            await (hangs if hit.data["incident"] == "INC-1042" else arrives).wait()
        return web.Response()

    people.webhooks.answer = answer
    async with sending(it, timeout=60):
        await it.triaged(1041)
        await it.page("sent")
        await it.triaged(1042, 1043)
        await eventually("both are on their way", lambda: _count(people.webhooks, "/ana", 3))
        asyncio.get_running_loop().call_later(
            0.5, arrives.set
        )  # by then the sender has been told to stop
    hangs.set()
    assert sorted(row["status"] for row in await it.ledger()) == ["sending", "sent", "sent"]


async def test_a_sender_that_was_frozen_does_not_send_what_it_claimed_before(
    it: World, people: People
) -> None:
    await it.triaged(1042)
    async with it.database.transaction() as connection:
        now = it.clock()
        (claim,) = await claim_deliveries(connection, now, now + timedelta(seconds=10), {}, 8, 8)
    it.clock.jump(seconds=6)
    failure, _ = await it.attempts(timeout=5).make(claim)
    assert failure is not None
    assert failure.error == "the sender was held up"
    assert not people.webhooks.hits


async def test_a_page_whose_sender_died_is_not_sent_again_when_somebody_took_the_incident(
    it: World, people: People
) -> None:
    (id,) = await it.triaged(1042)
    async with it.database.transaction() as connection:
        now = it.clock()
        await claim_deliveries(connection, now, now + timedelta(seconds=10), {}, 8, 8)
    await it.act(id, "acknowledge")
    it.clock.jump(seconds=11)
    async with sending(it):
        row = await it.page("cut")
    assert (row["possible_duplicate"], row["last_error"]) == (
        True,
        "the sender stopped while sending",
    )
    assert not people.webhooks.hits


async def test_a_sender_that_stops_finishes_the_page_it_is_sending(
    it: World, people: People
) -> None:
    arrived, release = asyncio.Event(), asyncio.Event()

    async def slow(_: Hit) -> web.Response:
        arrived.set()
        await release.wait()
        return web.Response()

    people.webhooks.answer = slow
    async with sending(it) as (task,):
        await it.triaged(1042)
        await arrived.wait()
        task.cancel()
        release.set()
        await asyncio.wait([task])
    assert [row["status"] for row in await it.ledger()] == ["sent"]


async def test_a_user_who_left_the_file_is_not_paged_and_the_ledger_says_so(
    it: World, people: People
) -> None:
    await it.triaged(1042)
    users = {name: user for name, user in it.teams.content.users.items() if name != "ana"}
    it.teams = type(it.teams)(
        "teams.yaml", "v2", "", it.teams.content.model_copy(update={"users": users})
    )
    async with sending(it):
        row = await it.page("failed")
    assert row["last_error"] == "ana has no webhook in teams.yaml any more"


async def test_users_whom_no_method_reaches_are_named_before_anybody_is_paged(
    database: str, people: People
) -> None:
    async with world(database, people.webhooks.url) as it:
        assert it.sender().problems() == ["no method of these users has its settings: cleo"]
    async with world(database, people.webhooks.url, people.smtp) as it:
        assert it.sender().problems() == []


async def test_when_nobody_of_a_step_can_be_reached_the_next_step_is_paged_at_once(
    it: World, people: People
) -> None:
    async def ana_is_gone(hit: Hit) -> web.Response:
        return web.Response(status=404 if hit.path == "/ana" else 200)

    people.webhooks.answer = ana_is_gone
    people.mailbox.answer = "550 no such user"
    async with sending(it):
        (id,) = await it.triaged(1042)
        await it.page("sent", user_id="ben", step=2, round=1)
    first, second = [event["data"] for _, event in await it.told("IncidentEscalated")]
    assert (first["paged"], second["paged"]) == (["ana"], ["ben"])
    assert second["skipped"] == [
        "step 1: no page arrived: ana by webhook (HTTP 404), ana by email (SMTP 550)"
    ]
    assert second["response"]["waiting_on"].endswith("; no page of step 1 arrived")
    timers = await it.rows("SELECT payload FROM timers WHERE subject = $1 ORDER BY id", id)
    assert [timer["payload"] for timer in timers][-1] == {"round": 2, "step": 1}
    it.clock.jump(seconds=60)
    await it.fire_due()
    assert Counter(row["user_id"] for row in await it.ledger())["ben"] == 1, "a stale timer"


async def test_two_senders_that_record_the_last_failures_of_a_step_begin_the_next_one_once(
    database: str, people: People
) -> None:
    together = """
    default_policy: all
    users:
      ana: {{name: Ana, webhook: "{url}/ana"}}
      ben: {{name: Ben, webhook: "{url}/ben"}}
      cleo: {{name: Cleo, webhook: "{url}/cleo"}}
    policies:
      all: {{steps: [{{targets: ["user:ana", "user:ben"], wait: 1h}},
                     {{targets: ["user:cleo"], wait: 1h}}]}}
    """

    async def only_cleo(hit: Hit) -> web.Response:
        return web.Response(status=200 if hit.path == "/cleo" else 410)

    people.webhooks.answer = only_cleo
    async with world(database, people.webhooks.url, teams=together) as it, sending(it, senders=4):
        ids = await it.triaged(*range(1, 31))
        for id in ids:
            await it.page("sent", incident_id=id, user_id="cleo")
        escalated = await it.told("IncidentEscalated")
    paths = Counter(hit.path for hit in people.webhooks.hits)
    assert paths == {"/ana": 30, "/ben": 30, "/cleo": 30}
    assert len(escalated) == 60, "two steps of each incident"


async def test_when_every_page_of_a_policy_fails_for_good_there_is_one_round_and_then_a_pause(
    it: World, people: People
) -> None:
    people.webhooks.status(410)
    people.mailbox.answer = "550 no such user"
    async with sending(it):
        (id,) = await it.triaged(1042)
        await it.page("failed", user_id="ben", method="email")
    rows = await it.ledger()
    assert len(rows) == 4
    assert {row["status"] for row in rows} == {"failed"}
    (incident,) = await it.rows("SELECT state FROM incidents WHERE id = $1", id)
    assert incident["state"]["due"]["round"] == 2
    assert "no page of step 2 arrived" in incident["state"]["response"]["waiting_on"]
    due = datetime.fromisoformat(incident["state"]["due"]["due_at"])
    assert due > it.clock() + timedelta(seconds=30)


class InterruptedDatabase(Database):
    """Fails once, after `meanwhile` has run."""

    meanwhile: Callable[[], Awaitable[None]] | None = None

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A pooled connection, or the failure."""
        if meanwhile := self.meanwhile:
            self.meanwhile = None
            await meanwhile()
            raise ConnectionResetError
        async with super().connection() as connection:
            yield connection


async def test_a_page_that_fails_while_postgres_is_away_is_recorded_once_it_is_back(
    it: World, people: People
) -> None:
    release, wake = asyncio.Event(), asyncio.Event()
    database = InterruptedDatabase(it.database.dsn)

    async def refuse(_: Hit) -> web.Response:
        await release.wait()
        return web.Response(status=503)

    async def fail_meanwhile() -> None:
        release.set()
        await wake.wait()  # the result of the page wakes the sender

    people.webhooks.answer = refuse
    sender = Sender(database, it.attempts(5), lambda: it.teams, it.clock, wake)
    running = asyncio.create_task(sender.run())
    try:
        await it.triaged(1042)
        wake.set()
        await it.page("sending")
        database.meanwhile = fail_meanwhile
        wake.set()
        row = await it.page("pending", attempts=1)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await database.close()
    assert row["last_error"] == "HTTP 503"
