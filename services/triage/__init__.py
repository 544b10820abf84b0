"""Prioritise and start the diagnosis.

Topics in: `tocsin.intake.v1`. Topics out: `tocsin.triage.v1`, `tocsin.dead-letters.v1`. Schema owned: `triage`.
"""
