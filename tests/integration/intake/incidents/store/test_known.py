"""What senders are shown of alerts, where policy has put those of several into one incident."""

from dataclasses import replace

import pytest

from services.intake.handlers import Handlers
from services.intake.incidents.known_alerts import KnownAlerts
from services.intake.incidents.policy import IntakePolicy, Rule, Storm
from services.intake.signals.domain import Signal
from tests.integration.intake.conftest import POLICY, World, fired

STORM = Storm(open_incidents=4)


def sent(origin: str, key: str) -> Signal:
    return replace(fired(f"{origin} {key}", key, service="checkout"), origin=origin)


@pytest.mark.parametrize(
    "policy",
    [
        POLICY.model_copy(update={"rules": [Rule(group_by=["service"])]}),
        POLICY.model_copy(update={"storm": STORM}),
        POLICY,
    ],
    ids=["grouped", "in a storm", "each on its own"],
)
async def test_each_sender_is_shown_its_own_alerts_and_no_others(
    world: World, policy: IntakePolicy
) -> None:
    world.handlers = Handlers(lambda: policy, lambda: world.clock[0])
    sources = ("probe one", "probe two")
    for key in "abcde":
        for origin in sources:
            await world.take(sent(origin, f"{origin[-3:]} {key}"))
    known = KnownAlerts(world.database)
    for origin in sources:
        found = await known.find(origin, None)
        assert {alert.key for alert in found} == {f"{origin[-3:]} {key}" for key in "abcde"}
        assert {alert.origin for alert in found} == {origin}
        by_key = await known.find(origin, [f"{origin[-3:]} e"])
        assert [alert.origin for alert in by_key] == [origin]
    for alert in await known.find(sources[1], None):
        members = await known.find(sources[1], alert.incident_id)
        assert {one.origin for one in members} == {sources[1]}
