"""What of reporting's schema ages. Its role may not delete from the audit log."""

from shared.events import reporting
from shared.postgres.aging import Aging

_ALONG = {
    "timeline": "DELETE FROM timeline WHERE incident_id = ANY (ARRAY (SELECT key FROM aged))",
    # A tombstone, by which compaction deletes the incident's record.
    reporting.TOPIC: f"""
        INSERT INTO outbox (topic, key, value, created_at)
        SELECT '{reporting.TOPIC}', convert_to(key::text, 'UTF8'), NULL, now() FROM aged
    """,  # noqa: S608 - a constant
}
_IS_OVER = "status = 'resolved' AND resolved_at < $1"

AGING = (
    Aging(
        "incidents",
        "incidents",
        "incident_id",
        f"NOT synthetic AND {_IS_OVER}",
        along=_ALONG,
        sequences=True,
    ),
    Aging(
        "synthetic_incidents",
        "incidents",
        "incident_id",
        f"synthetic AND {_IS_OVER}",
        along=_ALONG,
        sequences=True,
    ),
    Aging("changes", "changes", "change_id", "made_at < $1"),
    Aging("advisories", "advisories", "advisory_id", "received_at < $1"),
    Aging("requests", "requests", "request_id", "received_at < $1"),
)
