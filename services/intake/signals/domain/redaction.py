"""What must not be kept is taken out of signals before anything is stored or published.

Patterns are RE2's: their time is in proportion to the text whatever they are, so a policy's own
cannot stop intake, and one pass over all texts of a signal (some microseconds) shows for nearly
every signal that there is nothing to do.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import orjson
import re2

from services.intake.signals.domain import shapes
from services.intake.signals.domain.reasons import Redacted
from services.intake.signals.policy import Redaction, compiled

_IDENTITIES = frozenset({"key", "alert"})
_PEOPLE = frozenset({"by", "requester"})
"""Fields that say who: what they hold is an address more often than not."""
_EMAIL, _VALUE = "e-mail address", "value"
_MAX_MEMORY = 32 * 1024 * 1024
_GROUP_NAME = re2.compile(r"\(\?P<\w+>")

Check = Callable[[str, str], bool]
"""Whether a match is one: gets what would be taken out, and the group `sign` or `domain`."""


@dataclass(frozen=True)
class _Rule:
    name: str
    pattern: str
    check: Check = lambda *_: True
    context: str = ""

    @cached_property
    def _compiled(self) -> Any:
        return compiled(self.pattern)

    @cached_property
    def _groups(self) -> tuple[int, int]:
        """The groups of the secret, and of its context; 0 is the whole match."""
        groups = self._compiled.groupindex
        return groups.get("secret", 0), groups.get(self.context, 0)

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where in a text there is something to take out."""
        secret, context = self._groups
        for match in self._compiled.finditer(text):
            if self.check(match.group(secret), match.group(context)):
                yield match.span(secret)


class _CardNumbers(_Rule):
    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        for match in self._compiled.finditer(text):
            for start, end in shapes.card_numbers(match.group()):
                yield match.start() + start, match.start() + end


class Redactor:
    """The rules of a policy, ready for use."""

    def __init__(self, policy: Redaction) -> None:
        self._rules = list(_rules(policy))
        self._secret_names = frozenset(name.lower() for name in policy.labels)
        names = "|".join(map(re2.escape, sorted(self._secret_names)))
        patterns = [rf"(?im:^(?:{names})$)"] if names else []
        patterns += [_GROUP_NAME.sub("(?:", rule.pattern) for rule in self._rules]
        self._any = _one_pass(patterns)

    def fields(self, fields: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[Redacted, ...]]:
        """The fields of a signal's data in which something must not be kept, without that, and what
        was taken out.
        """
        # One pass over all texts, each on a line of its own.
        if not self._any.Match("\n".join(_texts(fields))):
            return {}, ()
        work = _Work(self)
        changed = {
            name: after
            for name, value in fields.items()
            if (after := work.value(name, value)) != value
        }
        if not fields.get("key", True) and changed.keys() & {"labels", "service"}:
            # These identify it: two that differ in what was taken out stay two.
            identity = [fields["service"], sorted(fields["labels"].items())]
            changed["key"] = f"labels {_digest(orjson.dumps(identity))}"
        return changed, tuple(Redacted(*what, times) for what, times in work.done.items())

    def finds(self, text: str) -> bool:
        """Whether there may be something to take out, in one pass."""
        return bool(self._any.Match(text))

    def text(self, text: str) -> str:
        """Any other text without what must not be kept."""
        return _Work(self).text("", text)

    def key(self, key: str) -> str:
        """A sender's key of an alert as it is kept."""
        return _Work(self).identity("key", key)

    def document(self, value: Any, name: str = "") -> Any:
        """A JSON value without what must not be kept. `name` is that of its field."""
        return _Work(self).document(name, value)

    def is_secret(self, name: str) -> bool:
        """Whether the whole value of a label of this name is taken out."""
        return name.lower() in self._secret_names

    def rules_for(self, place: str) -> Iterator[_Rule]:
        """The rules that hold for a field."""
        for rule in self._rules:
            if rule.name != _EMAIL or place not in _PEOPLE:
                yield rule


redactor = lru_cache(maxsize=8)(Redactor)
"""The Redactor of a policy."""


@dataclass(slots=True)
class _Work:
    """One signal being redacted. `done` counts by field and rule."""

    rules: Redactor
    done: Counter[tuple[str, str]] = field(default_factory=Counter)

    def value(self, place: str, value: Any) -> Any:
        """The value of a field."""
        if isinstance(value, str):
            return self.identity(place, value) if place in _IDENTITIES else self.text(place, value)
        if isinstance(value, dict):
            return self._named(place, value)
        if isinstance(value, list):
            return [self.value(place, one) for one in value]
        return value

    def document(self, place: str, value: Any) -> Any:
        """The same for a value in which anything may be nested."""
        if isinstance(value, dict):
            return {
                self.text(place, name): self._secret(name)
                if self.rules.is_secret(name) and isinstance(one, str)
                else self.document(name, one)
                for name, one in value.items()
            }
        if isinstance(value, list):
            return [self.document(place, one) for one in value]
        return self.value(place, value)

    def _named(self, place: str, texts: dict[str, str]) -> dict[str, str]:
        redacted: dict[str, str] = {}
        for name, text in texts.items():
            kept, where = self.text(place, name), f"{place}.{name}"
            if kept != name:
                where = f"{place}.{kept}"
            secret = self.rules.is_secret(name) and text
            redacted[kept] = self._secret(where) if secret else self.text(where, text)
        return redacted

    def _secret(self, place: str) -> str:
        self.done[place, _VALUE] += 1
        return _mark(_VALUE)

    def identity(self, place: str, text: str) -> str:
        """A text that tells one thing from others: it still does, by a digest of the whole."""
        kept = self.text(place, text)
        return kept if kept == text else f"{kept[:220]} {_digest(text.encode())}"

    def text(self, place: str, text: str) -> str:
        """A text, each match of a rule replaced by the rule's name."""
        if not self.rules.finds(text):
            return text
        for rule in self.rules.rules_for(place):
            spans = list(rule.spans(text))
            if not spans:
                continue
            self.done[place, rule.name] += len(spans)
            parts, end_before = list[str](), 0
            for start, end in spans:
                parts += text[end_before:start], _mark(rule.name)
                end_before = end
            text = "".join([*parts, text[end_before:]])
        return text


def _rules(policy: Redaction) -> Iterator[_Rule]:
    for own in policy.patterns:  # first: they know best what their matches are
        yield _Rule(own.name, own.pattern)
    if policy.tokens:
        for pattern in (shapes.TOKEN, shapes.SLACK_WEBHOOK, shapes.URL_CREDENTIALS):
            yield _Rule("token", pattern)
        yield _Rule("token", shapes.CREDENTIALS, shapes.is_credential)
        yield _Rule("token", shapes.ASSIGNMENT, shapes.is_assigned, "sign")
    if policy.card_numbers:
        yield _CardNumbers("card number", shapes.CARD_NUMBER)
    if policy.email_addresses:
        yield _Rule(_EMAIL, shapes.EMAIL, shapes.is_address, "domain")


def _one_pass(patterns: list[str]) -> Any:
    """All patterns, searched for at once."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    together = re2.Set.SearchSet(options)
    for pattern in patterns:
        together.Add(pattern)
    together.Compile()
    return together


def _texts(fields: Mapping[str, Any]) -> list[str]:
    """All texts of a signal."""
    texts: list[str] = []
    for value in fields.values():
        if type(value) is str:
            texts.append(value)
        elif type(value) is dict:
            texts += value
            texts += value.values()
        elif type(value) is list:
            texts += map(str, value)
    return texts


def _mark(rule: str) -> str:
    return f"[redacted {rule}]"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]
