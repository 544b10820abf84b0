"""Policy that changes between the beginning of an alert and its end, on a real database: whatever
held, gathered or grouped it, its end is found, and nothing stays open for ever.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.intake.handlers import Handlers
from services.intake.incidents.policy import Flapping, IntakePolicy, Rule, Storm
from services.intake.signals.domain import Group, Signal
from shared.events.intake import EXPIRED, EXPIRED_BY_POLICY
from tests.integration.intake.conftest import NOON, POLICY, World, fired

MINUTE = timedelta(minutes=1)
Follow = Callable[..., None]


@pytest.fixture
def follow(world: World) -> Follow:
    """Puts another policy in force."""
    current = [POLICY]
    world.handlers = Handlers(lambda: current[0], lambda: world.clock[0])

    def follow(*rules: Rule, **changed: Any) -> None:
        current[0] = POLICY.model_copy(update={"rules": list(rules), **changed})

    return follow


async def states(world: World) -> list[tuple[str, int]]:
    """Status and firing alerts of each incident, oldest first."""
    rows = await world.rows("SELECT status, alerts_firing FROM incidents ORDER BY number")
    return [(row["status"], row["alerts_firing"]) for row in rows]


async def said(world: World) -> list[str]:
    return [kind for kind, _ in await world.outbox()]


async def later(world: World, span: timedelta) -> None:
    world.clock[0] += span
    await world.fire_due()


def about(signal_id: str, key: str, status: str = "firing", **data: Any) -> Signal:
    return fired(signal_id, key, status, service="checkout", **data)


BY_SERVICE = Rule(group_by=["service"])


class TestGrouping:
    async def test_switched_off(self, world: World, follow: Follow) -> None:
        follow(BY_SERVICE)
        await world.take(about("1", "a"), about("2", "b"))
        follow()
        await world.take(about("3", "a", "resolved"))
        assert await states(world) == [("open", 1)]
        await world.take(about("4", "b", "resolved"))
        assert await states(world) == [("cleared", 0)]

    async def test_switched_off_and_sent_again(self, world: World, follow: Follow) -> None:
        follow(BY_SERVICE)
        await world.take(about("1", "a"), about("2", "b"))
        follow()
        await world.take(about("3", "a"))
        await world.take(about("4", "a", "resolved"), about("5", "b", "resolved"))
        assert await states(world) == [("cleared", 0)]

    async def test_switched_on(self, world: World, follow: Follow) -> None:
        follow()
        await world.take(about("1", "a"), about("2", "b"))
        follow(BY_SERVICE)
        await world.take(about("3", "a"), about("4", "c"))
        assert await states(world) == [("open", 1), ("open", 1), ("open", 1)]
        await world.take(*(about(f"{key} ends", key, "resolved") for key in "abc"))
        assert await states(world) == [("cleared", 0)] * 3

    async def test_on_off_and_on_again(self, world: World, follow: Follow) -> None:
        for number, rules in enumerate(([BY_SERVICE], [], [BY_SERVICE], [])):
            follow(*rules)
            await world.take(about(f"a{number}", "a"), about(f"b{number}", "b"))
        assert await states(world) == [("open", 2)]
        follow(BY_SERVICE)
        await world.take(about("a ends", "a", "resolved"), about("b ends", "b", "resolved"))
        assert await states(world) == [("cleared", 0)]

    async def test_the_sender_groups_otherwise(self, world: World, follow: Follow) -> None:
        """Case D03: the sender's configuration is reloaded with another grouping."""
        follow()
        before = [replace(about(k, k), group=Group(key="by job")) for k in "ab"]
        await world.take(*before)
        after = [
            replace(about(f"{k} ends", k, "resolved"), group=Group(key=f"by instance {k}"))
            for k in "ab"
        ]
        await world.take(after[0])
        assert await states(world) == [("open", 1)]
        await world.take(after[1])
        assert await states(world) == [("cleared", 0)]
        assert (await said(world))[-1] == "IncidentCleared"

    async def test_each_group_ends_when_two_replicas_saw_the_alert_first(
        self, world: World, follow: Follow
    ) -> None:
        """Two replicas take one alert at the same moment, in two groups of its sender."""
        follow()
        for replica, key in enumerate(("by job", "by instance")):
            signal = replace(about(f"r{replica}", "a"), group=Group(key=key))
            if replica:
                # Neither has seen the other's row: as if both had read before either wrote.
                async with world.database.transaction() as connection:
                    await connection.execute("UPDATE alerts SET firing = false")
                    await world.handlers.take(connection, [signal])
                    await connection.execute("UPDATE alerts SET firing = true")
            else:
                await world.take(signal)
        assert await states(world) == [("open", 1), ("open", 1)]
        await world.take(replace(about("ends", "a", "resolved"), group=Group(key="by instance")))
        assert await states(world) == [("cleared", 0), ("cleared", 0)]


class TestOpeningLater:
    delayed = Rule(open_after=5 * MINUTE)

    async def test_it_opens_by_its_timer(self, world: World, follow: Follow) -> None:
        follow(self.delayed)
        await world.take(about("1", "a"))
        await later(world, 4 * MINUTE)
        assert await said(world) == []
        await later(world, MINUTE)
        assert await said(world) == ["IncidentReported"]
        await world.take(about("2", "a", "resolved"))
        assert await said(world) == ["IncidentReported", "IncidentCleared"]

    async def test_what_does_not_last_is_never_told(self, world: World, follow: Follow) -> None:
        follow(self.delayed)
        await world.take(about("1", "a"))
        await world.take(about("2", "a", "resolved"))
        await later(world, 10 * MINUTE)
        assert (await said(world), await states(world)) == ([], [("cleared", 0)])

    async def test_the_delay_is_switched_off(self, world: World, follow: Follow) -> None:
        follow(self.delayed)
        await world.take(about("1", "a"))
        follow()
        await world.take(about("2", "a"))
        await later(world, 5 * MINUTE)
        assert await said(world) == ["IncidentReported"]

    @pytest.mark.parametrize("kept", [True, False])
    async def test_with_a_delay_before_clearing_what_does_not_last_is_never_told(
        self, world: World, follow: Follow, kept: bool
    ) -> None:
        follow(Rule(open_after=5 * MINUTE, clear_after=10 * MINUTE))
        await world.take(about("1", "a"))
        world.clock[0] += MINUTE
        follow(*([Rule(clear_after=10 * MINUTE)] if kept else []))
        await world.take(about("2", "a", "resolved"))
        await later(world, 5 * MINUTE)
        await later(world, 10 * MINUTE)
        assert (await said(world), await states(world)) == ([], [("cleared", 0)])


class TestClearingLater:
    held = Rule(clear_after=5 * MINUTE)

    @pytest.mark.parametrize("kept", [True, False])
    async def test_it_clears_by_its_timer(self, world: World, follow: Follow, kept: bool) -> None:
        follow(self.held)
        await world.take(about("1", "a"))
        await world.take(about("2", "a", "resolved"))
        follow(*([self.held] if kept else []))
        await later(world, 4 * MINUTE)
        await world.take(about("3", "a", "resolved"))
        assert await states(world) == [("open", 1)]
        await later(world, MINUTE)
        assert await states(world) == [("cleared", 0)]
        _, event = (await world.outbox())[-1]
        assert event["data"]["reason"] == "resolved at the source, and that has lasted"
        assert await world.rows("SELECT FROM timers") == []

    @pytest.mark.parametrize("grace", [timedelta(0), 30 * MINUTE])
    async def test_another_grace(self, world: World, follow: Follow, grace: timedelta) -> None:
        follow(self.held)
        await world.take(about("1", "a"))
        await world.take(about("2", "a", "resolved"))
        follow(self.held, expiry_grace=grace)
        await later(world, 5 * MINUTE)
        await later(world, 30 * MINUTE)
        assert await states(world) == [("cleared", 0)]

    async def test_what_fires_again_stays(self, world: World, follow: Follow) -> None:
        follow(self.held)
        await world.take(about("1", "a"))
        await world.take(about("2", "a", "resolved"))
        follow()
        await world.take(about("3", "a"))
        await later(world, 60 * MINUTE)
        assert await states(world) == [("open", 1)]
        await world.take(about("4", "a", "resolved"))
        assert await states(world) == [("cleared", 0)]


class TestExpiry:
    async def test_switched_off_the_last_word_counts(self, world: World, follow: Follow) -> None:
        follow(Rule(expire_after=60 * MINUTE))
        await world.take(about("1", "a"))
        follow()
        await world.take(about("2", "a"))
        await later(world, 600 * MINUTE)
        assert await states(world) == [("open", 1)]

    async def test_an_alert_of_before_ends_as_was_said(self, world: World, follow: Follow) -> None:
        follow(Rule(expire_after=60 * MINUTE))
        await world.take(about("1", "a"))
        follow()
        await later(world, 60 * MINUTE)
        assert await states(world) == [("cleared", 0)]

    @pytest.mark.parametrize(
        ("sent", "rules", "reason"),
        [
            ({}, [Rule(expire_after=60 * MINUTE)], EXPIRED_BY_POLICY),
            ({"ends_at": NOON + MINUTE}, [Rule(expire_after=60 * MINUTE)], EXPIRED),
            ({"ends_at": NOON + MINUTE}, [], EXPIRED),
        ],
    )
    async def test_the_timeline_says_whose_end_it_was(
        self, world: World, follow: Follow, sent: dict[str, Any], rules: list[Rule], reason: str
    ) -> None:
        follow(*rules)
        await world.take(about("1", "a", **sent))
        await later(world, 60 * MINUTE)
        kind, event = (await world.outbox())[-1]
        assert (kind, event["data"]["reason"]) == ("IncidentCleared", reason)

    async def test_switched_on_a_repeat_sets_its_end(self, world: World, follow: Follow) -> None:
        follow()
        await world.take(about("1", "a"))
        follow(Rule(expire_after=60 * MINUTE))
        await world.take(about("2", "a"))
        await later(world, 59 * MINUTE)
        await world.take(about("3", "a"))
        await later(world, 59 * MINUTE)
        assert await states(world) == [("open", 1)]
        await later(world, MINUTE)
        assert await states(world) == [("cleared", 0)]


class TestFlapping:
    used = Flapping(episodes=2, within=30 * MINUTE, calm=10 * MINUTE)

    async def flap(self, world: World) -> None:
        for number in range(2):
            await world.take(about(f"{number}", "a"))
            await world.take(about(f"{number} ends", "a", "resolved"))

    @pytest.mark.parametrize("flapping", [used, None])
    async def test_it_is_held_until_calm(
        self, world: World, follow: Follow, flapping: Flapping | None
    ) -> None:
        follow(flapping=self.used)
        await self.flap(world)
        assert await states(world) == [("cleared", 0), ("open", 1)]
        follow(flapping=flapping)
        await later(world, 10 * MINUTE)
        assert await states(world) == [("cleared", 0), ("cleared", 0)]

    async def test_switched_off_while_it_fires(self, world: World, follow: Follow) -> None:
        follow(flapping=self.used)
        await self.flap(world)
        follow(flapping=None)
        await world.take(about("again", "a"))
        await world.take(about("ends", "a", "resolved"))
        assert await states(world) == [("cleared", 0), ("cleared", 0)]


class TestStorm:
    used = Storm(open_incidents=4, calm=15 * MINUTE)

    async def gather(self, world: World, alerts: int = 6) -> None:
        await world.take(*(about(str(n), str(n)) for n in range(alerts)))

    async def end(self, world: World, alerts: int = 6) -> None:
        await world.take(*(about(f"{n} ends", str(n), "resolved") for n in range(alerts)))
        await later(world, 16 * MINUTE)

    @pytest.mark.parametrize("storm", [used, None])
    async def test_all_ends(self, world: World, follow: Follow, storm: Storm | None) -> None:
        follow(storm=self.used)
        await self.gather(world)
        assert len(await states(world)) == 5
        follow(storm=storm)
        await self.end(world)
        assert set(await states(world)) == {("cleared", 0)}

    @pytest.mark.parametrize("storm", [used, None])
    async def test_what_is_sent_again_stays_where_it_is(
        self, world: World, follow: Follow, storm: Storm | None
    ) -> None:
        follow(storm=self.used)
        await self.gather(world)
        follow(storm=storm)
        await world.take(*(about(f"{n} again", str(n)) for n in range(6)))
        assert len(await states(world)) == 5
        await self.end(world)
        assert set(await states(world)) == {("cleared", 0)}

    async def test_two_processes_share_one(self, world: World, follow: Follow) -> None:
        policy: IntakePolicy = POLICY.model_copy(update={"storm": self.used})
        other = Handlers(lambda: policy, lambda: world.clock[0])
        follow(storm=self.used)
        mine = world.handlers
        for number in range(12):
            world.handlers = (mine, other)[number % 2]
            await world.take(about(str(number), str(number)))
            world.clock[0] += timedelta(seconds=3)
        query = "SELECT summary, alerts_total FROM incidents WHERE summary LIKE '%gathered%'"
        (storm,) = await world.rows(query)
        opened = len(await states(world)) - 1
        assert opened + storm["alerts_total"] == 12, "nothing is dropped"
        assert opened <= self.used.open_incidents
        await self.end(world, 12)
        assert set(await states(world)) == {("cleared", 0)}
