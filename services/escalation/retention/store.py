"""What of escalation's schema ages."""

from shared.postgres.aging import Aging

# A page under way has to find its row, and a timer, however stale, its incident: a step waits for 7
# days at most, so none is left unless the service was down for weeks and has just started.
_IS_OVER = """
    status = 'resolved' AND updated_at < $1
    AND NOT EXISTS (SELECT FROM timers WHERE due_at < $1 + interval '8 days')
    AND NOT EXISTS (
        SELECT FROM deliveries
        WHERE deliveries.incident_id = incidents.id
          AND deliveries.status IN ('pending', 'sending')
    )
"""
_PAGES = "DELETE FROM deliveries WHERE incident_id = ANY (ARRAY (SELECT key FROM aged))"

AGING = (
    Aging("incidents", "incidents", "id", _IS_OVER, along={"deliveries": _PAGES}, sequences=True),
)
