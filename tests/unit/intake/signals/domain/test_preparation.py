"""What happens to every signal before it is decided on."""

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.intake.signals.domain import AlertData, ChangeData, RequestData, Signal
from services.intake.signals.domain.preparation import prepare
from services.intake.signals.policy import ClassRule, SignalPolicy
from tests.unit.intake.builders import NOON

POLICY = SignalPolicy(classify=(ClassRule(kind="request", summary="^please"),))
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=60)
NAMES = st.sampled_from(["service", "env", "password", "description", "x"])
LABELS = st.dictionaries(NAMES, TEXTS, max_size=4)
MOMENTS = st.none() | st.timedeltas(timedelta(days=-9), timedelta(days=9)).map(NOON.__add__)
KINDS: dict[type[AlertData] | type[RequestData] | type[ChangeData], dict[str, Any]] = {
    AlertData: {"severity": st.none() | TEXTS, "annotations": LABELS, "ends_at": MOMENTS},
    RequestData: {"requester": st.none() | TEXTS.filter(bool)},
    ChangeData: {"version": st.none() | TEXTS.filter(bool)},
}
DATA = st.one_of(
    [
        st.builds(kind, summary=TEXTS.filter(str.strip), labels=LABELS, **own)
        for kind, own in KINDS.items()
    ]
)


@given(DATA, st.timedeltas(timedelta(days=-9), timedelta(days=9)))
def test_any_signal_is_prepared_keeps_its_identity_and_is_prepared_once(
    data: Any, skew: timedelta
) -> None:
    signal = Signal("key /source", "1", NOON + skew, NOON, None, data)
    (once,) = prepare([signal], POLICY)
    (twice,) = prepare([once], POLICY)
    assert (once.identity, once.received_at) == (signal.identity, NOON)
    assert once.sent_at <= NOON + POLICY.normalise.clock_tolerance
    assert (twice.data, twice.sent_at) == (once.data, once.sent_at)


def test_what_is_filled_from_a_label_is_redacted_as_well() -> None:
    data = AlertData(summary="x", labels={"component": "ana@corp.example"})
    (found,) = prepare([Signal("key /s", "1", NOON, NOON, None, data)], SignalPolicy())
    assert isinstance(found.data, AlertData)
    assert found.data.component == "[redacted e-mail address]"
    assert {one.field for one in found.reasons.redacted} == {"component", "labels.component"}


def test_rules_see_what_is_kept_so_that_a_recorded_signal_is_classified_alike() -> None:
    rule = ClassRule(kind="request", labels={"from": "ana@.*"})
    data = AlertData(summary="x", labels={"from": "ana@corp.example"})
    policy = SignalPolicy(classify=(rule,))
    (found,) = prepare([Signal("key /s", "1", NOON, NOON, None, data)], policy)
    assert isinstance(found.data, AlertData)
