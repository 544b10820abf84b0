"""What fires in the end depends on what each alert said last, not on how alerts mixed on the way,
how they were put together in batches, or what was sent twice.
"""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.intake.incidents.policy import IntakePolicy
from services.intake.signals.domain import Alert, AlertData, Signal, as_alert
from tests.unit.life.bus import START
from tests.unit.life.policies import INTAKE
from tests.unit.life.world import World

_ALERTS = [(key, service) for key in ("disk", "network", "memory") for service in ("a", "b")]


def _alert(place: int, number: int, status: str) -> Alert:
    key, service = _ALERTS[place]
    data = AlertData(summary="it burns", key=f"{key} {service}", status=status, service=service)
    made = as_alert(Signal("probe", f"{place}.{number}", START, START, None, data))
    assert made is not None
    return made


histories = st.lists(
    st.lists(st.sampled_from(["firing", "resolved"]), min_size=1, max_size=4),
    min_size=len(_ALERTS),
    max_size=len(_ALERTS),
)


def _run(policy: IntakePolicy, order: list[Alert], batches: list[int]) -> World:
    """The world after signals came in this order, in batches of these sizes in turn."""
    world, left, turn = World(), list(order), 0
    world.intake.policy = policy
    while left:
        size = batches[turn % len(batches)]
        world.send(left[:size])
        left, turn = left[size:], turn + 1
    world.quieten()
    world.pass_time(timedelta(minutes=30))  # longer than all that is delayed, held or silent
    world.quieten()
    return world


def _firing(world: World) -> set[tuple[str, str]]:
    """The alerts that fire, with the services of their incidents."""
    intake = world.intake
    return {
        (member.name or "", intake.incidents[incident_id].service or "")
        for (incident_id, _), member in intake.members.items()
        if member.firing and member.name and intake.incidents[incident_id].status == "open"
    }


@pytest.mark.parametrize("place", range(len(INTAKE)))
@settings(max_examples=25, deadline=None, derandomize=True)
@given(histories=histories, data=st.data())
def test_shuffled_and_repeated_signals_end_in_the_same_state(
    place: int, histories: list[list[str]], data: st.DataObject
) -> None:
    signals = {
        which: [_alert(which, number, status) for number, status in enumerate(history)]
        for which, history in enumerate(histories)
    }
    in_turn = [alert for own in signals.values() for alert in own]
    # Each alert's own signals keep their order: a sender sends the next after it got an answer.
    turns = data.draw(st.permutations([which for which, own in signals.items() for _ in own]))
    left = {which: iter(own) for which, own in signals.items()}
    mixed = [next(left[which]) for which in turns]
    sizes = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    again = data.draw(st.lists(st.sampled_from(mixed), max_size=6))
    one, other = _run(INTAKE[place], in_turn, [1]), _run(INTAKE[place], [*mixed, *again], sizes)
    assert _firing(one) == _firing(other)
    silent = any(rule.expire_after for rule in INTAKE[place].rules)
    said_last = {_ALERTS[n] for n, history in enumerate(histories) if history[-1] == "firing"}
    named = {(f"{key} {service}", service) for key, service in said_last}
    assert _firing(one) == (set() if silent else named)
