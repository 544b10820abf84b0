"""Alerts about the same fault have one fingerprint, all others have different ones."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.intake.signals.domain import AlertData, fingerprint

names = st.text("ab\x1f ,", min_size=1, max_size=3)
summaries = names.map("disk {}".format)
labels = st.dictionaries(names, st.text("ab\x1f ,", max_size=3), max_size=3)
identities = st.fixed_dictionaries(
    {"key": st.none() | names, "service": st.none() | names, "labels": labels}
)
incidental = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["firing", "resolved"]),
        "severity": st.none() | st.sampled_from(["critical", "info", "page"]),
        "summary": summaries,
        "alert": st.none() | names,
        "annotations": labels,
        "links": st.lists(st.just("https://dashboards.example"), max_size=2),
    }
)
search = settings(max_examples=200, derandomize=True, deadline=None)


def meant(origin: str, identity: dict[str, Any]) -> tuple[Any, ...]:
    """What an alert is about, according to the contract with senders."""
    if identity["key"]:
        return origin, identity["key"]
    return origin, identity["service"], frozenset(identity["labels"].items())


@given(identities, incidental, incidental)
@search
def test_a_firing_alert_and_its_resolution_have_one_fingerprint(
    identity: dict[str, Any], begin: dict[str, Any], end: dict[str, Any]
) -> None:
    assert fingerprint("probe", AlertData(**identity, **begin)) == fingerprint(
        "probe", AlertData(**identity, **end)
    )


@given(identities, st.randoms(use_true_random=False))
@search
def test_the_order_of_labels_does_not_matter(identity: dict[str, Any], random: Any) -> None:
    shuffled = list(identity["labels"].items())
    random.shuffle(shuffled)
    other = {**identity, "labels": dict(shuffled)}
    one, two = AlertData(summary="x", **identity), AlertData(summary="y", **other)
    assert fingerprint("probe", one) == fingerprint("probe", two)


@given(names, identities, names, identities)
@search
def test_alerts_about_different_things_have_different_fingerprints(
    origin: str, one: dict[str, Any], other_origin: str, other: dict[str, Any]
) -> None:
    same = meant(origin, one) == meant(other_origin, other)
    prints = (
        fingerprint(origin, AlertData(summary="x", **one)),
        fingerprint(other_origin, AlertData(summary="x", **other)),
    )
    assert (prints[0] == prints[1]) == same
