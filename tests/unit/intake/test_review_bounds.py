"""What senders may get wrong in times, sizes and names costs a part of their signal at most, and never its page."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.intake.domain.absorb import absorb
from services.intake.gateways.alertmanager import read_webhook
from services.intake.policy import IntakePolicy
from services.intake.signals import AlertData, Signal, as_alert, read_signal
from shared.events.cloudevents import Malformed, from_structured

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVENT = {"specversion": "1.0", "id": "1", "source": "/probe", "type": "tocsin.signals.Alert"}


def signal(data: dict[str, Any], **attributes: Any) -> Signal:
    return read_signal(from_structured({**EVENT, **attributes, "data": {"summary": "disk full", **data}}), "key", NOON)


def webhook(**alert: Any) -> Signal:
    body = {"status": "firing", "labels": {"alertname": "DiskFull"}, "startsAt": "2026-03-01T12:00:00Z", **alert}
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
    outcome = absorb([alert], {}, {}, iter([1000]), IntakePolicy(expiry_grace=timedelta(days=1)), 0, NOON)
    assert outcome.expiry_due == []


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"])
def test_an_event_time_outside_the_calendar_is_refused_in_words(time: str) -> None:
    with pytest.raises(Malformed, match="time"):
        signal({}, time=time)


@pytest.mark.parametrize("starts_at", ["0001-01-01T00:00:00", "0001-01-01T00:00:00+05:00", "", "yesterday", None, {}])
def test_an_alert_without_a_usable_start_counts_from_its_arrival(starts_at: Any) -> None:
    assert webhook(startsAt=starts_at).sent_at == NOON


def test_the_newest_of_an_alert_group_is_told_across_time_zones() -> None:
    older, newer = webhook(startsAt="2026-03-01T13:00:00+01:00"), webhook(startsAt="2026-03-01T12:30:00Z")
    assert older.sent_at.isoformat() < newer.sent_at.isoformat(), "they are compared as text"
