"""Sections of intake.yaml about what senders write: which labels name what, which severities mean
what, what is redacted, and what kind of thing a signal is.
"""

from datetime import timedelta
from typing import Annotated, Literal

import re2
from pydantic import AfterValidator, Field

from shared.events.intake import Severity
from shared.policy.files import Duration, PolicyModel

Kind = Literal["incident", "request", "change", "patch"]
"""What a signal is about, as people and rules say it."""

_MAX_PATTERN = 1000
_CRITICAL = ("fatal", "emergency", "emerg", "alert", "disaster", "page", "p1", "sev1", "down")
_ERROR = ("err", "major", "high", "average", "p2", "sev2")
_WARNING = ("warn", "minor", "medium", "moderate", "p3", "sev3")
_INFO = ("information", "informational", "notice", "debug", "low", "ok", "p4", "p5", "sev4", "sev5")
SYNONYMS = {
    **dict.fromkeys(_CRITICAL, Severity.CRITICAL),
    **dict.fromkeys(_ERROR, Severity.ERROR),
    **dict.fromkeys(_WARNING, Severity.WARNING),
    **dict.fromkeys(_INFO, Severity.INFO),
}
"""What the words of common senders mean, unless the policy says otherwise."""
_SECRET_NAMES = (
    *("password", "passwd", "passphrase", "secret", "client_secret", "token", "access_token"),
    *("refresh_token", "api_key", "apikey", "api-key", "access_key", "secret_key", "private_key"),
    *("authorization", "cookie", "set-cookie"),
)


def compiled(pattern: str) -> "re2._Regexp[str]":
    """A pattern whose search takes time in proportion to the text, whatever the pattern. Raises
    re2.error.
    """
    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)


def _is_pattern(pattern: str) -> str:
    try:
        found = compiled(pattern)
    except re2.error as error:
        reason = str(error.args[0]) if error.args else ""
        raise ValueError(f"is no regular expression in the syntax of RE2: {reason}") from None
    if found.search(""):
        raise ValueError("matches an empty text")
    return pattern


def _lower(words: dict[str, Severity]) -> dict[str, Severity]:
    return {word.strip().lower(): severity for word, severity in words.items()}


Pattern = Annotated[str, Field(min_length=1, max_length=_MAX_PATTERN), AfterValidator(_is_pattern)]
"""A regular expression in the syntax of RE2."""
Words = Annotated[dict[str, Severity], AfterValidator(_lower)]
Names = tuple[Annotated[str, Field(min_length=1, max_length=255)], ...]


class OwnPattern(PolicyModel):
    """A text that is redacted: where it has a group `secret`, only that."""

    name: Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[\w .-]+$")]
    pattern: Pattern


class Redaction(PolicyModel):
    """What is taken out of signals before they are stored or published."""

    tokens: bool = True
    """Keys and passwords by their shape: of common vendors, after `Bearer`, in URLs, `key=...`."""
    card_numbers: bool = True
    """Of payment cards, with a valid check digit."""
    email_addresses: bool = True
    """Except in fields that say who did or wants something."""
    labels: Names = _SECRET_NAMES
    """Labels and annotations, in any case, whose whole value is taken out."""
    patterns: Annotated[tuple[OwnPattern, ...], Field(max_length=100)] = ()


class Normalisation(PolicyModel):
    """What fills fields that a sender leaves empty, and what its words mean."""

    service: Names = ("service", "service_name", "service.name", "app_kubernetes_io_name")
    component: Names = ("component", "app_kubernetes_io_component", "container")
    environment: Names = ("environment", "env", "deployment_environment", "stage")
    category: Names = ("category", "class")
    """Labels, then annotations; the first that is there counts."""
    description: Names = ("description", "message")
    """The same, annotations first."""
    severities: Words = {}
    """Senders' words in any case, beside our own and those of common senders."""
    clock_tolerance: Duration = Field(default=timedelta(minutes=2), ge=timedelta(0))
    """By how much a sender's clock may differ before that is noted."""

    def severity_of(self, text: str) -> Severity | None:
        """What a sender's word means; None for one that is not known."""
        word = text.strip().lower()
        return _SEVERITIES.get(word) or self.severities.get(word) or SYNONYMS.get(word)


_SEVERITIES = {severity.value: severity for severity in Severity}


class ClassRule(PolicyModel):
    """Signals that match all that is given are of a `kind`, whatever format they came in."""

    kind: Kind
    integration: str | None = None
    labels: dict[str, Pattern] = {}
    """By name, patterns that match the whole value."""
    summary: Pattern | None = None
    """Matches somewhere in the summary."""


class SignalPolicy(PolicyModel):
    """The part of intake.yaml that says how one signal is understood."""

    redact: Redaction = Redaction()
    normalise: Normalisation = Normalisation()
    classify: Annotated[tuple[ClassRule, ...], Field(max_length=200)] = ()
    """The first rule that matches counts."""
