"""The policies between which the search switches: the same names with other people, steps and
tiers.
"""

from datetime import timedelta
from typing import Any

from services.escalation.policies.policy import Teams
from services.intake.incidents.policy import Flapping, IntakePolicy, Rule, Storm
from services.triage.catalogue.policy import Catalogue
from shared.events.intake import Severity
from shared.policy.files import PolicyFile
from tests.support.teams import teams_of

_TEAMS = """
default_policy: payments
users:
  ana: {name: Ana, email: ana@example.com, webhook: "https://hooks.example.com/ana"}
  ben: {name: Ben, email: ben@example.com, webhook: "https://hooks.example.com/ben",
        methods: [email, webhook]}
teams:
  payments: {policy: payments}
  search: {policy: days}
schedules:
  nights:
    {time_zone: Europe/Berlin, rotation: daily, handoff: "02:30", start: 2024-10-20,
     users: [ana, ben]}
  days:
    {time_zone: America/New_York, rotation: weekly, handoff: Fri 09:00, start: 2024-10-25,
     users: [ben], hours: {from: "09:00", to: "17:00", weekdays: [mon, tue, wed, thu, fri]}}
policies:
  payments:
    rounds: 1
    steps:
      - {targets: ["schedule:nights", "user:ana"], wait: 5m}
      - {targets: ["schedule:days"], wait: 15m}
  days:
    steps:
      - {targets: ["schedule:days"], wait: 10m}
      - targets: ["user:ben"]
        wait: 10m
        hours: {from: "08:00", to: "18:00", time_zone: Asia/Kathmandu}
"""

TEAMS: list[PolicyFile[Teams]] = [
    teams_of(text)
    for text in (
        _TEAMS,
        # Ben has left, and with him the last person on call by day.
        _TEAMS.replace("users: [ana, ben]", "users: [ana]")
        .replace("users: [ben]", "users: [cleo]")
        .replace("user:ben", "user:cleo")
        .replace(
            "  ben: {name: Ben, email: ben@example.com",
            "  cleo: {name: Cleo, email: cleo@example.com",
        ),
        # Ana prefers mail, and the policies are swapped.
        _TEAMS.replace('hooks.example.com/ana"}', 'hooks.example.com/ana", methods: [email]}')
        .replace("payments: {policy: payments}", "payments: {policy: days}")
        .replace("search: {policy: days}", "search: {policy: payments}"),
    )
]


def _catalogue(version: str, **services: dict[str, Any]) -> PolicyFile[Catalogue]:
    content = Catalogue.model_validate({"default_team": "platform", "services": services})
    return PolicyFile("catalogue.yaml", version, "", content)


CATALOGUES = [
    _catalogue(
        "first", checkout={"team": "payments", "tier": 1}, search={"team": "search", "tier": 3}
    ),
    _catalogue("second", checkout={"team": "search", "tier": 2}),
    _catalogue("third", search={"team": "payments", "tier": 1}),
]
INTAKE = [
    IntakePolicy(),
    IntakePolicy(update_interval=timedelta(0), expiry_grace=timedelta(0)),
    IntakePolicy(
        update_interval=timedelta(hours=1),
        expiry_grace=timedelta(minutes=30),
        default_severity=Severity.INFO,
    ),
    # One incident for each service, which clears late, and takes few alerts.
    IntakePolicy(
        rules=[Rule(group_by=["service"], clear_after=timedelta(minutes=1), max_alerts=3)],
        flapping=Flapping(episodes=2, within=timedelta(hours=1), calm=timedelta(minutes=5)),
    ),
    # Late reports, and alerts that end by silence.
    IntakePolicy(
        rules=[
            Rule(match={"service": "checkout"}, open_after=timedelta(seconds=15)),
            Rule(expire_after=timedelta(minutes=5), window=timedelta(minutes=4)),
        ],
        expiry_grace=timedelta(minutes=1),
    ),
    # Four open incidents of a service are a storm, three warn of one.
    IntakePolicy(
        storm=Storm(open_incidents=4, calm=timedelta(minutes=4)),
        flapping=Flapping(episodes=2, within=timedelta(hours=1), calm=timedelta(minutes=5)),
    ),
]
