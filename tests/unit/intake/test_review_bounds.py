"""What senders may get wrong in times, sizes and names costs a part of their signal at most, and
never its page.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.intake.gateways.alertmanager import read_webhook
from services.intake.incidents.domain.fold import absorb
from services.intake.incidents.policy import IntakePolicy
from services.intake.signals.domain import AlertData, Signal, as_alert, read_signal
from shared.events.cloudevents import Malformed, from_structured

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVENT = {"specversion": "1.0", "id": "1", "source": "/probe", "type": "tocsin.signals.Alert"}


def signal(data: dict[str, Any], **attributes: Any) -> Signal:
    return read_signal(
        from_structured({**EVENT, **attributes, "data": {"summary": "disk full", **data}}),
        "key",
        NOON,
    )


def webhook(**alert: Any) -> Signal:
    body = {
        "status": "firing",
        "labels": {"alertname": "DiskFull"},
        "startsAt": "2026-03-01T12:00:00Z",
        **alert,
    }
    (read,) = read_webhook({"version": "4", "groupKey": "g", "alerts": [body]}, "key", NOON, None)
    return read


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
    outcome = absorb(
        [alert], {}, {}, iter([1000]), IntakePolicy(expiry_grace=timedelta(days=1)), 0, NOON
    )
    assert outcome.expiry_due == []


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"])
def test_an_event_time_outside_the_calendar_costs_the_time(time: str) -> None:
    assert signal({}, time=time).sent_at == NOON


@pytest.mark.parametrize(
    "starts_at", ["0001-01-01T00:00:00", "0001-01-01T00:00:00+05:00", "", "yesterday", None, {}]
)
def test_an_alert_without_a_usable_start_counts_from_its_arrival(starts_at: Any) -> None:
    assert webhook(startsAt=starts_at).sent_at == NOON


def test_the_newest_of_an_alert_group_is_told_across_time_zones() -> None:
    older, newer = (
        webhook(startsAt="2026-03-01T13:00:00+01:00"),
        webhook(startsAt="2026-03-01T12:30:00Z"),
    )
    assert older.sent_at.isoformat() < newer.sent_at.isoformat(), "they are compared as text"


def test_an_alert_too_large_for_a_kafka_message_is_cut_until_its_incident_can_be_told() -> None:
    large = {
        f"label{number}": "\x01" * 4096 for number in range(128)
    }  # six bytes a character in JSON
    read = as_alert(webhook(labels=large, annotations=large))
    assert read is not None
    outcome = absorb([read], {}, {}, iter([1000]), IntakePolicy(), 0, NOON)
    (told,) = outcome.told
    # The broker's default is 1,048,588 bytes, and triage repeats the incident with its reasons.
    assert len(told.fact.model_dump_json()) < 900_000
    assert read.data.labels["label0"] == "\x01" * 4096


def test_a_label_whose_name_is_nothing_but_nul_is_left_out() -> None:
    read = webhook(labels={"\x00": "x", "alertname": "DiskFull"})
    assert read.data.labels == {"alertname": "DiskFull"}


def test_nul_in_a_severity_is_refused_by_its_name() -> None:
    with pytest.raises(Malformed, match=r"data\.severity"):
        signal({"severity": "bad\x00"})


def test_an_identity_too_long_to_be_indexed_is_refused_in_words() -> None:
    with pytest.raises(Malformed, match="id: "):
        signal({}, id="\U0001f514" * 500, source="/" + "\U0001f514" * 500)


def test_a_refusal_does_not_repeat_a_field_of_any_length() -> None:
    with pytest.raises(Malformed) as refused:
        signal({"labels": {"x" * 100_000: "y"}})
    assert len(str(refused.value)) < 1_000


def test_c05_an_alert_whose_sender_is_three_hours_slow_stays_open_while_it_is_sent_again() -> None:
    slow = NOON - timedelta(hours=3)
    first = as_alert(
        signal(
            {"starts_at": slow.isoformat(), "ends_at": (slow + timedelta(minutes=4)).isoformat()}
        )
    )
    assert first is not None
    policy = IntakePolicy(expiry_grace=timedelta(minutes=2))
    outcome = absorb([first], {}, {}, iter([1000]), policy, 0, NOON)
    assert [incident.expiry_armed_at for incident in outcome.expiry_due] == [
        NOON + timedelta(minutes=2)
    ]
    (member,) = outcome.members.values()
    assert member.ends_at == NOON, "by our clock, since it is sent now"


@pytest.mark.parametrize("unset", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_a_time_that_means_unset_is_the_time_of_receipt(unset: str) -> None:
    """Else one such signal would describe its incident for ever, or have begun it two thousand
    years ago.
    """
    assert signal({}, time=unset).sent_at == NOON
