"""Escalation: get a human, and keep the response's state.

Topics in: `tocsin.triage.v1` (what to respond to), `tocsin.commands.v1` (acknowledge, resolve) and
`tocsin.redrive.v1` (dead letters to process again). Topics out: `tocsin.escalation.v1`, and
`tocsin.dead-letters.v1` for messages that could not be processed, `tocsin.operations.v1`. HTTP:
`/v1/incidents/...` (API) and `/a/{token}` (signed links). Out: one channel per way to reach people.
Schema owned: `escalation`, with `incidents` (the response and a snapshot of its policy) and
`deliveries` (the ledger of pages).

Capabilities, each may import those before it: people, oncall, policies, response, links, delivery,
retention.
"""
