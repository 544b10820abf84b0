"""Signals from CloudEvents: what is taken, what is refused by its name, and what costs itself."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.intake.incidents.policy import IntakePolicy
from services.intake.signals.domain import AlertData, Signal, as_alert, fingerprint, read_signal
from shared.events.cloudevents import Malformed, from_structured
from tests.unit.intake.builders import take

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVENT = {"specversion": "1.0", "id": "1", "source": "/probe", "type": "tocsin.signals.Alert"}


def signal(data: dict[str, Any], **attributes: Any) -> Signal:
    return read_signal(
        from_structured({**EVENT, **attributes, "data": {"summary": "disk full", **data}}),
        "key",
        NOON,
    )


@pytest.mark.parametrize(
    "never",
    [
        "0001-01-01T00:00:00Z",  # Go's unset time
        "0001-01-01T00:00:00+05:00",
        "9999-12-31T23:59:59.9999999Z",  # .NET's and Java's end of time
        "9999-12-31T23:59:59-05:00",
    ],
)
def test_the_ends_of_the_calendar_stand_for_no_time_at_all(never: str) -> None:
    read = signal({"starts_at": never, "ends_at": never})
    assert isinstance(read.data, AlertData)
    assert (read.data.starts_at, read.data.ends_at) == (None, None)
    alert = as_alert(read)
    assert alert is not None
    policy = IntakePolicy(expiry_grace=timedelta(days=1))
    assert take([alert], policy=policy).expiry_due == []


@pytest.mark.parametrize(
    "unreadable",
    ["", "yesterday", "2016-12-31T23:59:61Z", "2026-13-01T00:00:00Z", {}, [], True, 1e300],
)
def test_a_time_that_cannot_be_read_costs_itself(unreadable: Any) -> None:
    read = signal({"starts_at": unreadable, "ends_at": unreadable}, time=unreadable)
    assert isinstance(read.data, AlertData)
    assert (read.data.starts_at, read.data.ends_at, read.sent_at) == (None, None, NOON)


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"])
def test_an_event_time_outside_the_calendar_costs_the_time(time: str) -> None:
    assert signal({}, time=time).sent_at == NOON


@pytest.mark.parametrize("unset", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_a_time_that_means_unset_is_the_time_of_receipt(unset: str) -> None:
    """Else one such signal would describe its incident for ever, or have begun it two thousand
    years ago.
    """
    assert signal({}, time=unset).sent_at == NOON


def test_nul_in_a_severity_is_refused_by_its_name() -> None:
    with pytest.raises(Malformed, match=r"data\.severity"):
        signal({"severity": "bad\x00"})


@pytest.mark.parametrize("blank", ["", " ", "\t\r\n", "\u00a0\u2003"])
@pytest.mark.parametrize("kind", ["Alert", "ServiceRequest", "Change"])
def test_a_blank_summary_is_refused_by_its_name(kind: str, blank: str) -> None:
    with pytest.raises(Malformed) as refused:
        signal({"summary": blank}, type=f"tocsin.signals.{kind}")
    assert refused.value.field == "data.summary"


def test_an_identity_too_long_to_be_indexed_is_refused_in_words() -> None:
    with pytest.raises(Malformed, match="id: "):
        signal({}, id="\U0001f514" * 500, source="/" + "\U0001f514" * 500)


def test_a_refusal_does_not_repeat_a_field_of_any_length() -> None:
    with pytest.raises(Malformed) as refused:
        signal({"labels": {"x" * 100_000: "y"}})
    assert len(str(refused.value)) < 1_000


def test_an_alert_whose_sender_is_three_hours_slow_stays_open_while_it_is_sent_again() -> None:
    slow = NOON - timedelta(hours=3)
    ends = (slow + timedelta(minutes=4)).isoformat()
    first = as_alert(signal({"starts_at": slow.isoformat(), "ends_at": ends}))
    assert first is not None
    policy = IntakePolicy(expiry_grace=timedelta(minutes=2))
    result = take([first], policy=policy)
    armed = [incident.expiry_armed_at for incident in result.expiry_due]
    assert armed == [NOON + timedelta(minutes=2)]
    (member,) = result.members.values()
    assert member.ends_at == NOON, "by our clock, since it is sent now"


class TestWhatAnAlertIsAbout:
    """The sender's key, else service and labels: never a text."""

    @pytest.mark.parametrize(
        "identity",
        [
            {"key": "7"},
            {"service": "checkout"},
            {"labels": {"host": "a"}},
            {"service": "checkout", "labels": {"host": "a"}},
            {},
        ],
    )
    def test_an_end_with_another_text_is_the_same(self, identity: dict[str, Any]) -> None:
        begin = AlertData(summary="checkout answers 500", **identity)
        end = AlertData(summary="all is well", status="resolved", severity="info", **identity)
        assert fingerprint("key /probe", begin) == fingerprint("key /probe", end)

    def test_different_services_labels_keys_and_sources_are_different(self) -> None:
        about: list[dict[str, Any]] = [
            {},
            {"service": "checkout"},
            {"service": "search"},
            {"labels": {"host": "a"}},
            {"labels": {"host": "b"}},
            {"service": "checkout", "labels": {"host": "a"}},
            {"key": "checkout"},
        ]
        found = {
            fingerprint(origin, AlertData(summary="x", **identity))
            for identity in about
            for origin in ("key /a", "key /b")
        }
        assert len(found) == 2 * len(about)
