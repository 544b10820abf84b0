"""Escalation: get a human, and keep the response's state.

Topics in: `tocsin.triage.v1` (what to respond to), `tocsin.commands.v1` (acknowledge, resolve) and
`tocsin.redrive.v1` (its dead letters, given back). Topics out: `tocsin.escalation.v1`, and
`tocsin.dead-letters.v1` for what could not be worked on. HTTP: `/v1/incidents/...` (API) and
`/a/{token}` (signed links). Out: webhooks and SMTP. Schema owned: `escalation`, `incidents` (the
response and its policy snapshot), `deliveries` (the ledger of pages).
"""
