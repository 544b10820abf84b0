"""How people are told of the alerts of an incident."""

import pytest

from shared.events.alerts import count_alerts


@pytest.mark.parametrize(
    ("total", "unlisted", "shown", "said"),
    [
        (1, 0, 1, None),
        (0, 0, 0, None),
        (800, 0, 3, "800 alerts, 3 of them:"),
        (2, 0, 2, "2 alerts:"),
        (2, 0, 0, "2 alerts"),
        (1, 5, 1, "1 alert and 5 that its sender did not list, 1 of them:"),
        (1, 5, 0, "1 alert and 5 that its sender did not list"),
    ],
)
def test_alerts_are_counted_and_unlisted_ones_named(
    total: int, unlisted: int, shown: int, said: str | None
) -> None:
    assert count_alerts(total, unlisted, shown) == said
