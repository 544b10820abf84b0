"""The sections of intake.yaml about what senders write: a slip is refused with its line."""

import pytest

from services.intake.incidents.policy import read_intake_policy
from services.intake.signals.policy import Normalisation
from shared.events.intake import Severity
from shared.policy.files import InvalidPolicy


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("classify:\n- {kind: request, summary: '(a'}", "is no regular expression"),
        ("classify:\n- {kind: request, summary: '(?=a)b'}", "is no regular expression"),
        ("classify:\n- {kind: request, summary: 'a*'}", "matches an empty text"),
        ("classify:\n- {kind: incdent}", "classify.0.kind"),
        ("redact:\n  patterns: [{name: n, pattern: '(a{1,900}){1,900}'}]", "no regular expression"),
        ('redact:\n  patterns: [{name: "a]b", pattern: x}]', "name"),
        ("redact:\n  emails: false", "unknown key `emails`"),
        ("normalise:\n  severities: {purple: purple}", "normalise.severities.purple"),
        ("normalise:\n  clock_tolerance: 5", "clock_tolerance"),
    ],
)
def test_a_slip_is_refused_with_its_line(text: str, error: str) -> None:
    with pytest.raises(InvalidPolicy) as refused:
        read_intake_policy(text.encode())
    assert error in str(refused.value)
    assert "intake.yaml:" in str(refused.value)


def test_words_of_senders_are_read_in_any_case() -> None:
    policy = Normalisation(severities={" PAGE ": Severity.INFO})
    assert policy.severity_of("Page") is Severity.INFO
    assert policy.severity_of("P1") is Severity.CRITICAL
    assert policy.severity_of("purple") is None
