"""What a mapping makes of a body, however large it is."""

from typing import Any

import pytest

from services.intake.gateways.domain.mapping import Received, signals_in
from services.intake.gateways.policy import SenderMapping, read_mapping
from services.intake.signals.domain import AlertData, ChangeData, Signal
from shared.events.malformed import Malformed
from tests.unit.intake.builders import NOON

OURS = """\
about: Ours
sends_resolved: false
expire_after: 1h
signals:
  - each: body.alerts
    id: item.id
    key: item.id
    summary: item.title || body.title
    description: item.details
    labels:
      names: "words(item.names[?contains(@, 'a')])"
    tags: item.tags
    links: item.links
    time: item.at
"""


def mapping(text: str = OURS) -> SenderMapping:
    return read_mapping("ours", text.encode())


def read(body: Any, text: str = OURS, **headers: str) -> list[Signal]:
    sent = [(name, value.encode()) for name, value in headers.items()]
    return signals_in("ours", mapping(text), Received("tests", body, sent, {}, NOON))


def data(signal: Signal) -> AlertData:
    assert isinstance(signal.data, AlertData)
    return signal.data


def test_every_item_of_a_list_is_an_alert_with_an_id_of_its_own() -> None:
    signals = read({"title": "x", "alerts": [{"id": 1, "title": "a"}, {"id": 2}, {"id": 2}]})
    assert [data(one).summary for one in signals] == ["a", "x", "x"]
    assert [data(one).key for one in signals] == ["1", "2", "2"]
    assert len({one.identity for one in signals}) == 3


def test_of_a_long_list_the_first_thousand_are_taken() -> None:
    signals = read({"title": "x", "alerts": [{"id": number} for number in range(1_500)]})
    assert len(signals) == 1_000


def test_too_much_of_a_part_costs_the_part() -> None:
    item = {"id": 1, "title": "a", "names": ["a"] * 10_000, "details": "x" * 500_000}
    item |= {"tags": {str(number): "x" * 5_000 for number in range(500)}, "links": ["x"] * 500}
    found = data(read({"alerts": [item]})[0])
    assert "names" not in found.labels
    assert found.labels["…"].endswith("more were left out")
    assert len(found.annotations["description"]) == 4_096
    assert (found.key, found.summary) == ("1", "a")


def test_a_body_in_which_the_list_is_none_is_refused() -> None:
    bodies: list[Any] = [{}, {"alerts": None}, {"alerts": {"id": 1}}, [], "x"]
    for body in bodies:
        with pytest.raises(Malformed, match=r"body\.alerts is not a list"):
            read(body)


def test_a_key_that_takes_too_much_work_is_refused_by_the_mapping() -> None:
    costly = OURS.replace("key: item.id", "key: \"item.names[?contains(@, 'a')]\"")
    with pytest.raises(Malformed, match="has too much in it for the expressions of the mapping"):
        read({"alerts": [{"names": ["a"] * 10_000}]}, costly)


def test_every_rule_that_fits_makes_a_signal() -> None:
    two = """\
about: Ours
sends_resolved: true
signals:
  - key: body.id
    status: {from: body.state, resolved: [done]}
    summary: body.title
  - when: body.state == 'done' && headers.x_kind == 'deployment'
    kind: change
    summary: body.title
    change: {from: body.how, rollback: [back], version: body.version}
"""
    body = {"id": 1, "state": "DONE", "title": "x", "how": "Back", "version": 7}
    (alert,) = read(body, two)
    assert data(alert).status == "resolved"
    alert, change = read(body | {"state": "done"}, two, **{"X-Kind": "deployment"})
    assert isinstance(change.data, ChangeData)
    assert (change.data.kind, change.data.version) == ("rollback", "7")
    assert change.expire_after is None


def test_a_summary_is_one_line_within_bounds() -> None:
    (signal,) = read({"alerts": [{"id": 1, "title": "  " + "x" * 5_000}]})
    assert 1_000 < len(signal.data.summary) <= 1_024
    (signal,) = read({"alerts": [{"id": 1}]})
    assert signal.data.summary == "ours alert without a summary"
