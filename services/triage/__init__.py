"""Prioritise and start the diagnosis.

Topics in: `tocsin.intake.v1`, `tocsin.redrive.v1` (its dead letters, given back).
Topics out: `tocsin.triage.v1`, `tocsin.dead-letters.v1`, `tocsin.operations.v1`.
Schema owned: `triage`.

Capabilities, each may import those before it: catalogue, priority, requests, retention.
"""
