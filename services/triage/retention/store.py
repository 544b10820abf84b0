"""What of triage's schema ages."""

from shared.postgres.aging import Aging

AGING = (
    Aging(
        "incidents",
        "incidents",
        "incident_id",
        "decided_at < $1 AND triage #>> '{incident,status}' = 'cleared'",
        sequences=True,
    ),
    # One that is open all the same is prioritised anew with its next news, and its sequences go on
    # above those before.
    Aging("silent_incidents", "incidents", "incident_id", "decided_at < $1", sequences=True),
    Aging("requests", "requests", "request_id", "routed_at < $1"),
)
