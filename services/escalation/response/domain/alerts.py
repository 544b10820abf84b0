"""The alerts that an incident consists of, as far as a page tells of them."""

from collections.abc import Iterator

from shared.events.alerts import count_alerts
from shared.events.facts import Model
from shared.events.intake import ReportedAlert, ReportedIncident


class Alerts(Model):
    """`listed` are the first few of `total`, those that fire before others; `unlisted` more fire
    that their sender left out.
    """

    total: int = 1
    firing: int = 1
    unlisted: int = 0
    listed: list[ReportedAlert] = []
    flapping: bool = False

    def lines(self) -> Iterator[str]:
        """The alerts as a page lists them. An incident of one alert has none."""
        if counted := count_alerts(self.total, self.unlisted, len(self.listed)):
            yield counted
            yield from (f"- {alert.summary} ({alert.status})" for alert in self.listed)
        if self.flapping:
            yield "It began often lately: it stays open until it is calm."


def alerts_of(incident: ReportedIncident) -> Alerts:
    """Those of an incident as intake reported it."""
    return Alerts(
        total=incident.alerts_total,
        firing=incident.alerts_firing,
        unlisted=incident.alerts_unlisted,
        # Stable: among those that fire, the sender's order stays.
        listed=sorted(incident.alerts, key=lambda alert: alert.status != "firing"),
        flapping=incident.flapping,
    )
