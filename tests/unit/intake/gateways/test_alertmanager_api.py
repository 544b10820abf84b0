"""Alertmanager's API: alerts that fire until their end, alerts that are over, and what is told of
them.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.gateways.alertmanager.alerts import MAX_ALERTS, fingerprint
from services.intake.gateways.alertmanager_api import listing
from services.intake.gateways.alertmanager_api.answers import refuse
from services.intake.gateways.alertmanager_api.clocks import SlowClocks
from services.intake.gateways.alertmanager_api.matchers import read_matcher
from services.intake.gateways.alertmanager_api.taking import read_alerts, take_alerts
from services.intake.gateways.gateway import Submission
from services.intake.integrations.domain import Integration
from services.intake.signals.domain import AlertData, Decision, Identity, KnownAlert, Signal, Taken
from shared.events.intake import Severity
from shared.events.malformed import Malformed
from shared.http.problems import Problem
from tests.support.fuzzing import ANY_JSON
from tests.unit.intake.builders import NOON, submission

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
LABELS = {"alertname": "DiskFull", "instance": "db-3", "severity": "critical", "job": "node"}


@dataclass
class Desk:
    """Keeps what is submitted, and knows the newest state of each alert."""

    signals: list[Signal] = field(default_factory=list)
    known: dict[str, KnownAlert] = field(default_factory=dict)

    async def submit(self, signals: Sequence[Signal]) -> Mapping[Identity, Taken]:
        self.signals += signals
        for signal in signals:
            assert isinstance(signal.data, AlertData)
            self._keep(signal, signal.data)
        return {one.identity: Taken(Decision.JOINED, one.subject) for one in signals}

    async def download(self, url: str, *, lasting: bool = False) -> bytes:
        raise AssertionError("nothing is downloaded")

    def _keep(self, signal: Signal, data: AlertData) -> None:
        key = data.key or ""
        before = self.known.get(key)
        if data.status == "resolved":
            if before:
                self.known[key] = replace(before, status="resolved")
            return
        self.known[key] = known(
            data.labels, data.annotations, key=key, updated_at=signal.received_at
        )

    async def open_alerts(self, origin: str) -> list[KnownAlert]:
        assert origin == "key alertmanager-api"
        return [alert for alert in self.known.values() if alert.status != "resolved"]

    async def alerts(self, origin: str, keys: Sequence[str]) -> list[KnownAlert]:
        assert origin == "key alertmanager-api"
        return [self.known[key] for key in keys if key in self.known]

    async def members(self, origin: str, incident: UUID | int) -> list[KnownAlert]:
        raise NotImplementedError


def known(
    labels: dict[str, str], annotations: dict[str, str] | None = None, **changes: Any
) -> KnownAlert:
    alert = KnownAlert(
        incident_id=UUID(int=1),
        number=1000,
        origin="key alertmanager-api",
        key=fingerprint(labels),
        status="firing",
        summary="disk full",
        severity=Severity.CRITICAL,
        service="node",
        labels=labels,
        annotations=annotations or {},
        links=[],
        count=1,
        started_at=NOON,
        updated_at=NOON,
        ends_at=None,
    )
    return replace(alert, **changes)


def posted(at: datetime = NOON, *alerts: Any) -> Submission:
    return replace(submission(orjson.dumps(alerts)), received_at=at)


def one(ends_at: datetime | None = None, starts_at: datetime | None = NOON, **more: Any) -> Any:
    times = {"startsAt": starts_at, "endsAt": ends_at}
    return {"labels": LABELS, **{name: at for name, at in times.items() if at}, **more}


async def post(desk: Desk, *alerts: Any, at: datetime = NOON, clocks: Any = None) -> AlertData:
    """The data of the only, or last, signal."""
    answer = await take_alerts(clocks or SlowClocks(), desk, posted(at, *alerts))
    assert (answer.status_code, answer.body) == (200, b"")
    data = desk.signals[-1].data
    assert isinstance(data, AlertData)
    return data


async def test_an_alert_is_taken_as_prometheus_sends_it() -> None:
    desk = Desk()
    data = await post(
        desk,
        one(
            NOON + 4 * MINUTE,
            annotations={"summary": "disk of db-3 is full", "runbook_url": "http://wiki/disk"},
            generatorURL="http://prometheus:9090/graph?g0.expr=x",
        ),
    )
    assert (data.status, data.key, data.ends_at) == (
        "firing",
        fingerprint(LABELS),
        NOON + 4 * MINUTE,
    )
    assert (data.summary, data.service, data.severity) == (
        "disk of db-3 is full",
        "node",
        "critical",
    )
    assert data.links == ["http://prometheus:9090/graph?g0.expr=x", "http://wiki/disk"]
    assert desk.signals[0].origin == "key alertmanager-api"
    assert desk.signals[0].group is None, "each alert is an incident of its own, unless by policy"


def test_a_fingerprint_is_that_of_alertmanager() -> None:
    assert fingerprint({"a": "ok"}) == "7569872c0144690c"


@pytest.mark.parametrize("unset", [None, "0001-01-01T00:00:00Z", "", "soon", 7, {}])
async def test_without_an_end_it_fires_for_five_minutes(unset: Any) -> None:
    data = await post(Desk(), one() | {"endsAt": unset})
    assert (data.status, data.ends_at) == ("firing", NOON + 5 * MINUTE)


@pytest.mark.parametrize(
    "settings_of_it",
    [
        {"expire_after": "8h"},
        {"expire_after": "8h", "sends_resolved": False},
        {"sends_resolved": False},
    ],
)
async def test_the_settings_of_a_sender_that_repeats_nothing_say_how_long_it_fires(
    settings_of_it: dict[str, Any],
) -> None:
    sent = replace(posted(NOON, one()), integration=Integration(name="key", **settings_of_it))
    desk = Desk()
    await take_alerts(SlowClocks(), desk, sent)
    data = desk.signals[0].data
    assert isinstance(data, AlertData)
    assert (data.status, data.ends_at) == ("firing", None)


@pytest.mark.parametrize("ends_at", [NOON, NOON - MINUTE, NOON - 24 * HOUR])
async def test_with_an_end_that_has_passed_it_is_over(ends_at: datetime) -> None:
    data = await post(Desk(), one(ends_at, NOON - 25 * HOUR))
    assert (data.status, data.ends_at) == ("resolved", None)


async def test_labels_without_a_value_do_not_count() -> None:
    desk = Desk()
    await post(desk, {"labels": LABELS | {"pod": "", "": "x", "zone": None}}, {"labels": LABELS})
    first, second = (signal.data for signal in desk.signals)
    assert isinstance(first, AlertData)
    assert isinstance(second, AlertData)
    assert (first.key, first.labels) == (second.key, second.labels)


async def test_long_labels_keep_alerts_apart() -> None:
    desk = Desk()
    await post(desk, *({"labels": {"path": "x" * 10_000 + end}} for end in "ab"))
    assert len({getattr(signal.data, "key", None) for signal in desk.signals}) == 2


class TestASlowClock:
    """A sender three hours behind: what it sends has always ended when it arrives."""

    SLOW = 3 * HOUR

    def firing(self, minute: int) -> Any:
        sender = NOON - self.SLOW + minute * MINUTE
        return one(sender + 4 * MINUTE, NOON - self.SLOW)

    async def test_what_it_sends_again_fires_by_the_clock_of_the_receiver(self) -> None:
        desk, clocks = Desk(), SlowClocks()
        data = await post(desk, self.firing(0), at=NOON, clocks=clocks)
        assert data.status == "resolved", "nothing shows yet that it is not"
        for minute in range(1, 20):
            at = NOON + minute * MINUTE
            data = await post(desk, self.firing(minute), at=at, clocks=clocks)
            assert (data.status, data.ends_at) == ("firing", at + 5 * MINUTE)
        note = data.annotations["sender_clock"]
        assert note == "the sender's clock is slow, by more than 176 min"

    async def test_its_end_is_an_end(self) -> None:
        desk, clocks = Desk(), SlowClocks()
        for minute in range(5):
            at = NOON + minute * MINUTE
            await post(desk, self.firing(minute), at=at, clocks=clocks)
        over = one(NOON - self.SLOW + 5 * MINUTE, NOON - self.SLOW)
        for minute in range(5, 20):  # Prometheus repeats it for a quarter of an hour
            at = NOON + minute * MINUTE
            assert (await post(desk, over, at=at, clocks=clocks)).status == "resolved"
        again = one(NOON - self.SLOW + 25 * MINUTE, NOON - self.SLOW + 21 * MINUTE)
        at = NOON + 21 * MINUTE
        assert (await post(desk, again, at=at, clocks=clocks)).status == "resolved"
        again["endsAt"] += MINUTE
        assert (await post(desk, again, at=at + MINUTE, clocks=clocks)).status == "firing"

    async def test_an_alert_that_fires_goes_on_when_the_process_is_another(self) -> None:
        desk, clocks = Desk(), SlowClocks()
        for minute in range(3):
            at = NOON + minute * MINUTE
            await post(desk, self.firing(minute), at=at, clocks=clocks)
        data = await post(desk, self.firing(3), at=NOON + 3 * MINUTE)
        assert data.status == "firing"
        over = one(NOON - self.SLOW + 4 * MINUTE, NOON - self.SLOW)
        assert (await post(desk, over, at=NOON + 4 * MINUTE)).status == "resolved"

    async def test_a_clock_that_is_hardly_too_slow_takes_a_few_more_messages(self) -> None:
        desk, clocks = Desk(), SlowClocks()
        statuses = []
        for minute in range(6):
            at = NOON + minute * MINUTE
            alert = one(at - timedelta(seconds=30), NOON - 5 * MINUTE)
            statuses.append((await post(desk, alert, at=at, clocks=clocks)).status)
        assert statuses == ["resolved"] * 3 + ["firing"] * 3

    async def test_replicas_that_saw_the_end_one_after_the_other_do_not_fire(self) -> None:
        desk, clocks = Desk(), SlowClocks()
        ends = [NOON, NOON + timedelta(seconds=15)]
        for minute in range(15):
            for replica, end in enumerate(ends):
                at = NOON + minute * MINUTE + replica * timedelta(seconds=15)
                data = await post(desk, one(end, NOON - HOUR), at=at, clocks=clocks)
                assert data.status == "resolved"


def bad(document: Any) -> str:
    """The error for a request in which nothing is good."""
    try:
        alerts, faults = read_alerts(submission(orjson.dumps(document)))
    except Malformed as error:
        return str(error)
    assert alerts == []
    return "; ".join(faults)


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({}, "body: must be a JSON array"),
        ({"alerts": []}, "body: must be a JSON array"),
        ("text", "body: must be a JSON array"),
        (7, "body: must be a JSON array"),
        (True, "body: must be a JSON array"),
        ([{}], "[0].labels"),
        ([None], "[0].labels"),
        ([7], "[0].labels"),
        (["text"], "[0].labels"),
        ([[]], "[0].labels"),
        ([{"labels": None}], "[0].labels"),
        ([{"labels": []}], "[0].labels"),
        ([{"labels": "alertname=x"}], "[0].labels"),
        ([{"labels": {}}], "[0].labels"),
        ([{"labels": {"alertname": ""}}], "[0].labels"),
        ([{"labels": {"": "x"}}], "[0].labels"),
        ([{"labels": {"\x00": "x"}}], "[0].labels"),
        ([{"labels": {"alertname": None}}], "[0].labels"),
        ([{"annotations": {"summary": "x"}}], "[0].labels"),
        ([{"Labels": {"alertname": "x"}}], "[0].labels"),
        ([{"labels": {}}] * 12, "and 2 more"),
    ],
)
def test_what_is_no_alert_is_named(document: Any, named: str) -> None:
    assert named in bad(document)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"", "body: is not JSON"),
        (b"{", "body: is not JSON"),
        (b'[{"labels": {"a": "\xff"}}]', "body: is not JSON"),
        (b"[" * 100_000, "body"),
        (b'[{"labels": {"a": "b"}, "x": ' + b"[" * 500 + b"]" * 500 + b"}]", "nested"),
        ("[]".encode("utf-16"), "body: is not JSON"),
    ],
)
def test_what_is_no_json_is_named(body: bytes, named: str) -> None:
    with pytest.raises(Malformed) as refused:
        read_alerts(submission(body))
    assert named in str(refused.value)


@pytest.mark.parametrize("body", [b"null", b"[]", b"\xef\xbb\xbf[]"])
async def test_no_alerts_are_fine(body: bytes) -> None:
    answer = await take_alerts(SlowClocks(), Desk(), submission(body))
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "odd",
    [
        {"annotations": None},
        {"annotations": [1]},
        {"annotations": {"summary": {"a": [1]}}},
        {"generatorURL": "?orgId=1"},
        {"generatorURL": None},
        {"generatorURL": 7},
        {"startsAt": "yesterday"},
        {"startsAt": 1e300},
        {"endsAt": "0001-01-01T00:00:00+05:00"},
        {"labels": LABELS | {"severity": 7}},
        {"labels": LABELS | {"severity": None}},
        {"labels": LABELS | {"summary": "sur \ud83d"}},
        {"labels": LABELS | {"a-b": "no name in Prometheus"}},
        {"labels": {f"label{n}": "x" for n in range(500)}},
        {"status": {"state": "suppressed"}},
    ],
)
async def test_something_odd_costs_a_field(odd: dict[str, Any]) -> None:
    body = json.dumps([{"labels": LABELS} | odd]).encode()
    desk = Desk()
    answer = await take_alerts(SlowClocks(), desk, submission(body))
    assert (answer.status_code, len(desk.signals)) == (200, 1)


async def test_good_alerts_are_kept_when_others_are_bad() -> None:
    desk = Desk()
    with pytest.raises(Problem) as refused:
        await take_alerts(SlowClocks(), desk, posted(NOON, {"labels": {}}, one(), 7))
    assert (refused.value.status, len(desk.signals)) == (400, 1)
    assert refuse(refused.value).body == (
        b'"[0].labels: at least one label with a value is required; '
        b'[2].labels: at least one label with a value is required"'
    )


def test_of_more_alerts_than_are_taken_the_others_are_named() -> None:
    body = orjson.dumps([{"labels": {"n": str(n)}} for n in range(MAX_ALERTS + 5)])
    alerts, faults = read_alerts(submission(body))
    assert len(alerts) == MAX_ALERTS
    assert faults == ["body: 5 alerts beyond the first 10000 were not taken"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b'"body: is wrong"'),
        (401, b'{"code":401,"message":"body: is wrong"}'),
        (413, b'{"code":413,"message":"body: is wrong"}'),
        (503, b'{"code":503,"message":"body: is wrong"}'),
    ],
)
def test_errors_are_those_of_alertmanager(status: int, body: bytes) -> None:
    answer = refuse(Problem(status, "Wrong", "body: is wrong", {"Retry-After": "2"}))
    assert (answer.status_code, answer.body, answer.headers["retry-after"]) == (status, body, "2")


class TestListing:
    """What an integration is told of its own alerts."""

    async def get(self, query: str, *alerts: KnownAlert, groups: bool = False) -> Any:
        desk = Desk(known={str(place): alert for place, alert in enumerate(alerts)})
        respond = listing.list_groups if groups else listing.list_alerts
        return orjson.loads((await respond(desk, submission(query=query))).body)

    async def test_an_alert_has_all_that_clients_require(self) -> None:
        (alert,) = await self.get("", known(LABELS, {"summary": "full"}, links=["http://p/g"]))
        assert alert == {
            "labels": LABELS,
            "annotations": {"summary": "full"},
            "startsAt": "2026-03-01T12:00:00+00:00",
            "endsAt": "2026-03-01T12:05:00+00:00",
            "updatedAt": "2026-03-01T12:00:00+00:00",
            "fingerprint": fingerprint(LABELS),
            "receivers": [{"name": "tocsin"}],
            "status": {"state": "active", "silencedBy": [], "inhibitedBy": [], "mutedBy": []},
            "generatorURL": "http://p/g",
        }

    @pytest.mark.parametrize(
        ("query", "instances"),
        [
            ("", "abc"),
            ("active=true&silenced=true&inhibited=false&unprocessed=true", "abc"),
            ("active=false", ""),
            ("filter=instance%3D%22a%22", "a"),
            ("filter=instance%3Da", "a"),
            ("filter=instance!%3Da", "bc"),
            ("filter=instance%3D~%22a%7Cb%22", "ab"),
            ("filter=instance!~%22a%7Cb%22", "c"),
            ("filter=instance%3D~a&filter=alertname%3DDown", "a"),
            ("filter=owner%3D%22%22", "abc"),
            ("filter=owner!~%22blue.%2B%22", "abc"),
            ("receiver=tocsin", "abc"),
            ("receiver=toc", ""),
            ("receiver=toc.*", "abc"),
        ],
    )
    async def test_it_is_filtered(self, query: str, instances: str) -> None:
        alerts = [known({"alertname": "Down", "instance": name}) for name in "abc"]
        found = await self.get(query, *alerts)
        assert "".join(alert["labels"]["instance"] for alert in found) == instances

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("filter=x~y", "filter"),
            ("filter=", "filter"),
            ("filter=%3Dx", "filter"),
            ("filter=a%3D~%28", "filter"),
            (f"filter=a%3D{'x' * 3_000}", "filter"),
            ("filter=a%3Db&" * 33, "filter"),
            ("receiver=%28", "receiver"),
            ("active=perhaps", "active"),
        ],
    )
    async def test_a_bad_query_is_named(self, query: str, field: str) -> None:
        with pytest.raises(Malformed) as refused:
            await self.get(query, known(LABELS))
        assert refused.value.field == field

    async def test_a_group_is_an_incident(self) -> None:
        labels = {"alertname": "Down", "job": "node"}
        alerts = [
            known(labels | {"instance": "a"}),
            known(labels | {"instance": "b"}),
            known({"alertname": "Slow"}, number=999),
        ]
        slow, down = await self.get("", *alerts, groups=True)
        assert (slow["labels"], len(slow["alerts"])) == ({"alertname": "Slow"}, 1)
        assert (down["labels"], len(down["alerts"])) == (labels, 2)
        assert down["receiver"] == {"name": "tocsin"}


@pytest.mark.parametrize(
    ("written", "labels", "matches"),
    [
        ('a="x y"', {"a": "x y"}, True),
        ('a="say \\"x\\""', {"a": 'say "x"'}, True),
        ('a="x\\ny"', {"a": "x\ny"}, True),
        (' a =~ "x.*" ', {"a": "xyz"}, True),
        ('a=~"x"', {"a": "xyz"}, False),
        ("a=~x|y", {"a": "y"}, True),
        ('"a.b"="x"', {"a.b": "x"}, True),
        ("a=", {}, True),
        ("a!=", {"a": "x"}, True),
        ("a=x=y", {"a": "x=y"}, True),
    ],
)
def test_a_matcher_is_read(written: str, labels: dict[str, str], matches: bool) -> None:
    assert read_matcher(written).matches(labels) is matches


def test_a_pattern_takes_time_in_proportion_to_the_text() -> None:
    assert not read_matcher("a=~(x+x+)+y").matches({"a": "x" * 4_096})


@given(st.text(max_size=60))
def test_any_text_is_a_matcher_or_refused(written: str) -> None:
    with suppress(Malformed):
        read_matcher(written).matches({"a": "b"})


ALERT = st.fixed_dictionaries(
    {},
    optional={
        "labels": ANY_JSON | st.dictionaries(st.text(max_size=10), ANY_JSON, max_size=5),
        "annotations": ANY_JSON,
        "startsAt": ANY_JSON | st.datetimes().map(str),
        "endsAt": ANY_JSON | st.datetimes().map(str),
        "generatorURL": ANY_JSON,
    },
)


@given(st.lists(ALERT | ANY_JSON, max_size=4) | ANY_JSON)
async def test_any_json_is_taken_or_refused(document: Any) -> None:
    body = json.dumps(document).encode()
    with suppress(Malformed, Problem):
        await take_alerts(SlowClocks(), Desk(), submission(body))
