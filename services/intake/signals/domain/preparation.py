"""What happens to signals before they are decided on: one shape, nothing in them that must not be
kept, and the kind of thing that they are about.
"""

from collections.abc import Iterable

from services.intake.signals.domain.classification import classify
from services.intake.signals.domain.normalisation import normalise
from services.intake.signals.domain.reasons import NO_REASONS, Reasons
from services.intake.signals.domain.redaction import Redactor, redactor
from services.intake.signals.domain.signal import Signal
from services.intake.signals.policy import SignalPolicy


def prepare(signals: Iterable[Signal], policy: SignalPolicy) -> list[Signal]:
    """The signals as they are decided on, stored and published, each with its reasons. Who sent
    them, and the ids that identify them, stay.
    """
    rules = redactor(policy.redact)
    return [_prepare(signal, policy, rules) for signal in signals]


def _prepare(signal: Signal, policy: SignalPolicy, rules: Redactor) -> Signal:
    data = signal.data
    changed, sent_at, said = normalise(signal, policy.normalise)
    taken_out, redacted = rules.fields(vars(data) | changed)
    if changed or taken_out:
        data = data.model_copy(update=changed | taken_out)
    reasons = Reasons(tuple(said), redacted) if said or redacted else NO_REASONS
    if data is signal.data and sent_at == signal.sent_at and reasons is signal.reasons:
        return classify(signal, policy.classify) if policy.classify else signal
    # By hand: `replace` would take three times as long, for every signal.
    prepared = Signal(
        *(signal.origin, signal.signal_id, sent_at, signal.received_at, signal.trace, data),
        *(signal.group, signal.expire_after, signal.sender, signal.added, signal.episode, reasons),
    )
    return classify(prepared, policy.classify) if policy.classify else prepared
