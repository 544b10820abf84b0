"""What an integration adds to its signals."""

from collections.abc import Sequence
from dataclasses import replace

from services.intake.integrations.domain import Integration
from services.intake.signals.domain.bounds import within_bounds
from services.intake.signals.domain.signal import Signal


def with_settings(signals: Sequence[Signal], integration: Integration) -> Sequence[Signal]:
    """The signals as their integration sends them: with its labels, where they have none of that
    name, and with its settings.
    """
    if integration.is_plain:
        return signals
    added = integration.added
    return [_with_settings(signal, integration, added) for signal in signals]


def _with_settings(signal: Signal, integration: Integration, added: dict[str, str]) -> Signal:
    sent = signal.data.labels
    missing = {name: value for name, value in added.items() if name not in sent}
    if not missing:
        return replace(signal, sender=integration)
    # First, so that they stay where labels are too many.
    labelled = signal.data.model_copy(update={"labels": {**missing, **sent}})
    data = within_bounds(labelled)
    return replace(signal, sender=integration, data=data, added=frozenset(missing))
