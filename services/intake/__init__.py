"""Identify and log.

Topics in: `tocsin.signals.v1` (what publishers see), `tocsin.escalation.v1` (resolutions close incidents).
Topics out: `tocsin.intake.v1`, `tocsin.rejections.v1`, `tocsin.dead-letters.v1`.
Schema owned: `intake`.
"""
