"""Learn and prove: the audit log, the timelines, the figures and the console.

Topics in: every topic of Tocsin but its own, `tocsin.signals.v1`, `tocsin.commands.v1`,
`tocsin.intake.v1`, `tocsin.triage.v1`, `tocsin.escalation.v1`, `tocsin.rejections.v1`,
`tocsin.dead-letters.v1`, `tocsin.operations.v1`, `tocsin.redrive.v1`: all of them into the audit
log, the facts of intake, triage and escalation also into timelines and states. Topics out:
`tocsin.incidents.v1` (compacted), `tocsin.dead-letters.v1`, `tocsin.operations.v1`. Schema owned:
`reporting`.

Capabilities, each may import those before it: audit, timeline, figures, traces, console,
retention.
"""

NAME = "reporting"
