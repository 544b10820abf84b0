"""What happens to signals before they are decided on: one shape, nothing in them that must not be
kept, and the kind of thing that they are about.
"""

from collections.abc import Iterable
from dataclasses import replace

from services.intake.signals.domain.classification import classify
from services.intake.signals.domain.normalisation import normalise
from services.intake.signals.domain.reasons import Reasons
from services.intake.signals.domain.redaction import redactor
from services.intake.signals.domain.signal import Signal
from services.intake.signals.policy import SignalPolicy


def prepare(signals: Iterable[Signal], policy: SignalPolicy) -> list[Signal]:
    """The signals as they are decided on, stored and published, each with its reasons. Who sent
    them, and the ids that identify them, stay.
    """
    rules = redactor(policy.redact)
    prepared = []
    for signal in signals:
        shaped = normalise(signal, policy.normalise)
        data, redacted = rules.data(shaped.data)
        reasons = Reasons(shaped.said, redacted)
        clean = replace(signal, data=data, sent_at=shaped.sent_at, reasons=reasons)
        prepared.append(classify(clean, policy.classify) if policy.classify else clean)
    return prepared
