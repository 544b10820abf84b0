"""The mappings that come with Tocsin, on bodies as senders document them: what begins an alert and
what ends it have one key.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.intake.gateways.domain.mapping import Received, signals_in
from services.intake.gateways.policy import shipped
from services.intake.signals.domain import Alert, AlertData, ChangeData, Signal, as_alert
from tests.unit.intake.builders import NOON, only, take
from tests.unit.intake.gateways import senders
from tests.unit.intake.gateways.senders import FIRING_AND_OVER, NEVER_OVER, Sample

TWO_MINUTES_AGO = datetime(2026, 3, 1, 11, 58, tzinfo=UTC)


def read(name: str, sample: Sample) -> list[Signal]:
    body, headers = sample
    sent = [(key, value.encode()) for key, value in headers.items()]
    received = Received(f"tests mapped {name}", body, sent, {}, NOON)
    return signals_in(name, shipped().mappings[name], received)


def alert(name: str, sample: Sample) -> Alert:
    (found,) = [made for signal in read(name, sample) if (made := as_alert(signal))]
    return found


def change(name: str, sample: Sample) -> ChangeData:
    (found,) = [one.data for one in read(name, sample) if isinstance(one.data, ChangeData)]
    return found


def data(name: str, sample: Sample) -> AlertData:
    return alert(name, sample).data


def test_every_mapping_has_samples() -> None:
    assert shipped().mappings.keys() == FIRING_AND_OVER.keys() | NEVER_OVER.keys()


@pytest.mark.parametrize(
    ("name", "fires", "over"),
    [(name, *pair) for name, pairs in FIRING_AND_OVER.items() for pair in pairs],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_begins_an_alert_and_what_ends_it_are_one_incident(
    name: str, fires: Sample, over: Sample
) -> None:
    opening, ending = alert(name, fires), alert(name, over)
    assert (opening.data.status, ending.data.status) == ("firing", "resolved")
    assert opening.fingerprint == ending.fingerprint
    assert opening.data.key
    assert "without a summary" not in opening.data.summary
    opened = take([opening])
    assert only(opened).status == "open"
    assert only(take([ending], opened)).status == "cleared"


@pytest.mark.parametrize(
    ("name", "sample"), [(name, one) for name, samples in NEVER_OVER.items() for one in samples]
)
def test_alerts_that_their_sender_never_ends_say_when_they_expire(
    name: str, sample: Sample
) -> None:
    assert shipped().mappings[name].sends_resolved is False
    (signal,) = read(name, sample)
    assert signal.expire_after == timedelta(days=1)


@pytest.mark.parametrize(
    ("name", "sample"),
    [(name, pair[0]) for name, pairs in FIRING_AND_OVER.items() for pair in pairs[:1]],
)
def test_the_time_is_the_senders(name: str, sample: Sample) -> None:
    signal = alert(name, sample).signal
    assert signal.sent_at.replace(microsecond=0) == TWO_MINUTES_AGO


@pytest.mark.parametrize(
    ("name", "sample", "severity", "service"),
    [
        ("datadog", senders.datadog("Triggered"), "error", "checkout"),
        ("zabbix", senders.zabbix("1"), "error", "checkout"),
        ("uptime-kuma", senders.kuma(0), None, "shop"),
        ("sentry", senders.sentry_event(), "critical", "checkout"),
        ("sentry", senders.sentry_metric("warning"), "warning", "shop"),
        ("github", senders.workflow("failure"), None, "shop"),
        ("github", senders.dependabot("created"), "error", "shop"),
        ("github", senders.code_scanning("created"), "warning", "shop"),
        ("github", senders.secret_scanning("created"), "critical", "shop"),
        ("gitlab", senders.gitlab_incident("opened"), "error", "shop"),
        ("azure-monitor", senders.azure("Fired"), "error", None),
        ("google-cloud-monitoring", senders.google("open"), "Critical", "checkout"),
        ("new-relic", senders.new_relic("ACTIVATED"), "CRITICAL", "checkout"),
        ("checkmk", senders.checkmk("PROBLEM"), "critical", None),
        ("checkmk", senders.checkmk("PROBLEM", None), "critical", None),
        ("falco", senders.falco(), "info", "shop"),
    ],
)
def test_severity_and_service_are_found(
    name: str, sample: Sample, severity: str | None, service: str | None
) -> None:
    found = data(name, sample)
    assert (found.severity, found.service) == (severity, service)


def test_monitors_of_two_hosts_are_two_incidents_and_repeats_are_counted() -> None:
    """Datadog lets its users set no key of deduplication: the alert and its scope are one."""
    a, b = "host:a", "host:b"
    sent = [("Triggered", a), ("Triggered", b), ("Re-Triggered", a), ("Recovered", a)]
    result = take([alert("datadog", senders.datadog(*one)) for one in sent])
    incidents = {one.labels["host"]: one for one in (result.opened | result.changed).values()}
    assert {host: (one.status, one.signal_count) for host, one in incidents.items()} == {
        "a": ("cleared", 2),
        "b": ("open", 1),
    }


@pytest.mark.parametrize(
    "transition", ["Warn", "Re-Warn", "No Data", "Re-No Data", "Null", "Renotify"]
)
def test_a_transition_that_is_no_recovery_fires(transition: str) -> None:
    assert data("datadog", senders.datadog(transition)).status == "firing"


def test_the_test_of_a_sentry_webhook_is_taken_without_an_environment() -> None:
    body, headers = senders.sentry_event()
    del body["data"]["event"]["tags"]
    found = data("sentry", (body, headers))
    assert found.key == "issue/1117540176"
    assert found.labels == {"rule": "Very important"}
    body["data"]["event"] = {"issue_id": "1117540176"}
    assert data("sentry", (body, headers)).key == "issue/1117540176"


def test_issues_of_sentry_that_nobody_resolves_expire() -> None:
    assert alert("sentry", senders.sentry_event()).signal.expire_after == timedelta(days=7)
    assert shipped().mappings["sentry"].sends_resolved is False


@pytest.mark.parametrize(
    ("name", "sample", "status", "by"),
    [
        ("zabbix", senders.zabbix("1", "1", "acknowledged"), "acknowledged", "ada"),
        ("checkmk", senders.checkmk("ACKNOWLEDGEMENT"), "acknowledged", "ada"),
        ("icinga", senders.icinga("ACKNOWLEDGEMENT"), "acknowledged", "ada"),
        ("librenms", senders.librenms(2), "acknowledged", None),
        ("new-relic", senders.new_relic("ACKNOWLEDGED"), "acknowledged", None),
        ("sentry", senders.sentry_issue("assigned"), "acknowledged", "Ada"),
    ],
)
def test_an_acknowledgement_at_the_sender_is_one(
    name: str, sample: Sample, status: str, by: str | None
) -> None:
    found = data(name, sample)
    assert (found.status, found.by) == (status, by)


@pytest.mark.parametrize(
    ("name", "sample"),
    [
        ("github", senders.github("ping", zen="Design for failure.", hook_id=1)),
        ("github", senders.github("star", action="created")),
        ("github", senders.workflow(None, "requested")),
        ("github", senders.workflow("cancelled")),
        ("github", senders.deployment("in_progress")),
        ("gitlab", senders.gitlab_pipeline("running")),
        ("gitlab", ({"object_kind": "push"}, {})),
        ("gitlab", ({"object_kind": "issue", "object_attributes": {"type": "Issue"}}, {})),
        ("cloudwatch", senders.cloudwatch("INSUFFICIENT_DATA")),
        ("uptime-kuma", senders.kuma(2)),
        ("uptime-kuma", senders.kuma(3)),
        ("zabbix", senders.zabbix("1", "1", "commented")),
        ("checkmk", senders.checkmk("DOWNTIMESTART")),
        ("icinga", senders.icinga("FLAPPINGSTART")),
    ],
)
def test_what_is_nothing_to_do_is_nothing(name: str, sample: Sample) -> None:
    assert read(name, sample) == []


def test_a_test_of_uptime_kuma_has_neither_monitor_nor_heartbeat() -> None:
    found = data("uptime-kuma", ({"heartbeat": None, "monitor": None, "msg": "Testing"}, {}))
    assert (found.summary, found.key) == ("Testing", "Testing")


def test_a_deployment_is_a_change_and_mends_the_failed_one_before() -> None:
    found = change("github", senders.deployment("success"))
    assert (found.kind, found.version, found.service) == ("deployment", "acb5820c", "shop")
    assert found.labels["environment"] == "production"
    assert data("github", senders.deployment("success")).status == "resolved"
    assert change("github", senders.deployment("success", "rollback")).kind == "rollback"
    assert change("gitlab", senders.gitlab_deployment("success")).version == "279484c0"


def test_both_signals_of_one_delivery_have_ids_of_their_own_that_repeat() -> None:
    first, again = (read("github", senders.deployment("success")) for _ in range(2))
    assert len({one.identity for one in first}) == 2
    assert [one.identity for one in first] == [one.identity for one in again]


@pytest.mark.parametrize("name", FIRING_AND_OVER.keys() | NEVER_OVER.keys())
@pytest.mark.parametrize("field", ["labels", "tags", "severity", "state", "title", "time"])
def test_an_odd_field_costs_the_field_at_most(name: str, field: str) -> None:
    """Every part of a body may be of another kind than documented."""
    sample = FIRING_AND_OVER[name][0][0] if name in FIRING_AND_OVER else NEVER_OVER[name][0]
    body, headers = sample
    odd: list[Any] = [None, 7, 1.5, True, [], {}, [[]], {"a": {"b": 1}}, "x" * 70_000, "\x00"]
    for value in odd:
        changed = _replaced(body, field, value)
        for signal in read(name, (changed, headers)):
            assert len(signal.data.summary) <= 1024


def _replaced(body: Any, part: str, value: Any) -> Any:
    if isinstance(body, dict):
        return {
            key: value
            if part in key.lower() and not isinstance(old, dict)
            else _replaced(old, part, value)
            for key, old in body.items()
        }
    return [_replaced(one, part, value) for one in body] if isinstance(body, list) else body
