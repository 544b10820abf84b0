"""A service with too many open incidents: the owner is warned, and the rest is gathered."""

from datetime import timedelta

from services.intake.incidents.domain.incident import BatchResult, Incident
from services.intake.incidents.domain.storms import STORM
from services.intake.incidents.policy import IntakePolicy, Storm
from shared.events.intake import IncidentReported, IncidentUpdated
from tests.unit.intake.builders import NOON, POLICY, alert, decisions, kinds, take

_MINUTE = timedelta(minutes=1)


def policy(**changed: object) -> IntakePolicy:
    return POLICY.model_copy(update=changed)


class TestStorm:
    used = policy(storm=Storm(open_incidents=8))

    def storm(self, alerts: int) -> BatchResult:
        return take([alert(key=str(n)) for n in range(alerts)], policy=self.used)

    def of_the_storm(self, result: BatchResult) -> Incident:
        known = {**result.changed, **result.opened}.values()
        (found,) = [one for one in known if "further alerts" in one.summary]
        return found

    def test_its_owner_is_warned_at_three_quarters(self) -> None:
        assert len(self.storm(5).opened) == 5
        warned = self.storm(6)
        incident = self.of_the_storm(warned)
        assert (len(warned.opened), incident.severity) == (7, "warning")
        assert warned.members[incident.incident_id, STORM].firing
        assert incident.incident_id in {one.incident_id for one in warned.expiry_due}

    def test_beyond_the_limit_all_are_counted_in_one_incident(self) -> None:
        result = self.storm(500)
        incident = self.of_the_storm(result)
        assert (len(result.opened), incident.severity) == (9, "error")
        assert incident.signal_count == incident.alerts_total == 500 - 8
        assert kinds(result) == [IncidentReported] * 9, "told once"
        more = take([alert(key="one more")], result, NOON + _MINUTE, policy=self.used)
        assert kinds(more) == [IncidentUpdated]
        ended = take([alert("resolved", key="499")], more, NOON + _MINUTE, policy=self.used)
        assert decisions(ended) == ["alert ended"]
