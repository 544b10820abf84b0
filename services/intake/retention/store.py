"""What of intake's schema ages."""

from shared.postgres.aging import Aging

AGING = (
    Aging(
        "signals",
        "signals",
        "ctid",  # locked, so it stays where it is until it is deleted
        "received_at < $1",
    ),
    Aging("explanations", "explanations", "batch", "decided_at < $1"),
    Aging("early_resolutions", "resolved_ahead", "incident_id", "noted_at < $1"),
    Aging(
        "incidents",
        "incidents",
        "incident_id",
        "status <> 'open' AND told_at < $1",
        along={
            "alerts": "DELETE FROM alerts WHERE incident_id = ANY (ARRAY (SELECT key FROM aged))"
        },
        sequences=True,
    ),
    Aging("expired_keys", "integration_keys", "key_id", "expires_at < $1"),
)
