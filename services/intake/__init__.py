"""Identify and log.

Topics in: `tocsin.signals.v1` (what publishers see), `tocsin.escalation.v1` (resolutions close
incidents), `tocsin.redrive.v1` (its dead letters, given back). Topics out: `tocsin.intake.v1`,
`tocsin.rejections.v1`, `tocsin.dead-letters.v1`, `tocsin.operations.v1`. Schema owned: `intake`.

Capabilities, each may import those before it: integrations, signals, gateways, incidents,
retention.
"""

NAME = "intake"
