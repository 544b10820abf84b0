"""Opsgenie's search queries: `field:value`, compared and combined with AND, OR, NOT and brackets
(https://support.atlassian.com/opsgenie/docs/search-queries-for-alerts).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from services.intake.gateways.opsgenie.answers import not_processable

Matches = Callable[[Mapping[str, Any]], bool]
"""Whether an alert, as `details_of` shows it, is meant."""

_MAX_QUERY = 1_000
_MAX_DEPTH = 20
_TOKEN = re.compile(
    r'\s*(?:(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<mark>[()]|[<>]=?|!=|[:=])|(?P<word>[^\s()<>:=!"]+))'
)
_FIELDS = {
    "alertid": "id",
    "tag": "tags",
    "teams": "responders",
    "details.key": "details",
    "integration.name": "integration",
    "integration.id": "integration",
}
_NAMES = {
    name.lower(): name
    for name in (
        *("id", "tinyId", "alias", "message", "status", "acknowledged", "isSeen", "tags"),
        *("snoozed", "count", "lastOccurredAt", "createdAt", "updatedAt", "source", "owner"),
        *("priority", "responders", "integration", "entity", "description", "details", "actions"),
    )
}
_TIMES = ("lastOccurredAt", "createdAt", "updatedAt")
_EVERYWHERE = ("message", "description", "alias", "tags", "entity", "source")
_CONTAINS = ("message", "description", "tags", "responders", "integration", "details", "actions")
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
}


def parse_query(query: str) -> Matches:
    """What a query means; an empty one means every alert. Raises Problem."""
    if not query.strip():
        return lambda _: True
    if len(query) > _MAX_QUERY:
        raise not_processable("query", f"is longer than {_MAX_QUERY} characters")
    reader = _Reader(_tokens(query))
    matches = reader.alternatives(None, 0)
    if reader.next is not None:
        raise not_processable("query", f"has `{reader.next}` where nothing more is expected")
    return matches


def _tokens(query: str) -> list[tuple[str, bool]]:
    """The words, quoted texts and marks of a query, each with whether it is a mark."""
    tokens, place, text = [], 0, query.rstrip()
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise not_processable("query", f"cannot be read from character {place + 1} on")
        if quoted := found["quoted"]:
            tokens.append((re.sub(r"\\(.)", r"\1", quoted[1:-1]), False))
        else:
            tokens.append((found["mark"] or found["word"], found["mark"] is not None))
        place = found.end()
    return tokens


@dataclass(slots=True)
class _Reader:
    """Reads tokens by recursive descent. `field` is that of values in brackets."""

    tokens: list[tuple[str, bool]]
    place: int = 0

    @property
    def next(self) -> str | None:
        return self.tokens[self.place][0] if self.place < len(self.tokens) else None

    def _is_mark(self, *marks: str) -> bool:
        return self.place < len(self.tokens) and self.tokens[self.place] in [
            (mark, True) for mark in marks
        ]

    def _is_word(self, word: str) -> bool:
        return self.next is not None and self.next.upper() == word and not self._is_mark(self.next)

    def alternatives(self, field: str | None, depth: int) -> Matches:
        if depth > _MAX_DEPTH:
            raise not_processable("query", f"has more than {_MAX_DEPTH} levels of brackets")
        parts = [self._conjunction(field, depth)]
        while self._is_word("OR"):
            self.place += 1
            parts.append(self._conjunction(field, depth))
        return parts[0] if len(parts) == 1 else lambda alert: any(part(alert) for part in parts)

    def _conjunction(self, field: str | None, depth: int) -> Matches:
        parts = [self._negation(field, depth)]
        while self.next is not None and not self._is_word("OR") and not self._is_mark(")"):
            if self._is_word("AND"):
                self.place += 1
            parts.append(self._negation(field, depth))
        return parts[0] if len(parts) == 1 else lambda alert: all(part(alert) for part in parts)

    def _negation(self, field: str | None, depth: int) -> Matches:
        negated = False
        while self._is_word("NOT"):
            self.place += 1
            negated = not negated
        matches = self._operand(field, depth)
        return (lambda alert: not matches(alert)) if negated else matches

    def _operand(self, field: str | None, depth: int) -> Matches:
        if self._is_mark("("):
            self.place += 1
            matches = self.alternatives(field, depth + 1)
            if not self._is_mark(")"):
                raise not_processable("query", "has a bracket that is not closed")
            self.place += 1
            return matches
        word = self._word()
        if field is not None:
            return _matcher(field, ":", word)
        if not self._is_mark(":", "=", "!=", "<", ">", "<=", ">="):
            return lambda alert: any(_holds(alert, name, word.lower()) for name in _EVERYWHERE)
        name = _field(word)
        operator = self.tokens[self.place][0]
        self.place += 1
        if self._is_mark("("):
            return self._operand(name, depth)
        return _matcher(name, operator, self._word())

    def _word(self) -> str:
        ended = self.place >= len(self.tokens)
        if ended or self.tokens[self.place][1] or self._is_word("AND") or self._is_word("OR"):
            found = f"`{self.next}`" if self.next else "its end"
            raise not_processable("query", f"has {found} where a field or a value is expected")
        self.place += 1
        return self.tokens[self.place - 1][0]


def _field(word: str) -> str:
    lowered = word.lower()
    name = _FIELDS.get(lowered) or _NAMES.get(lowered)
    if name is None:
        raise not_processable("query", f"has the field `{word}`, which alerts do not have")
    return name


def _matcher(name: str, operator: str, value: str) -> Matches:
    wanted = value.lower()
    if operator == "!=":
        return lambda alert: not _holds(alert, name, wanted)
    if operator not in _COMPARE:
        return lambda alert: _holds(alert, name, wanted)
    compare, limit = _COMPARE[operator], _comparable(name, value)
    if limit is None:
        raise not_processable("query", f"compares `{name}` with `{value}`, which is no such value")
    return lambda alert: compare(_comparable(name, alert[name]), limit)


def _comparable(name: str, value: Any) -> float | str | None:
    """A value to compare: times and numbers as numbers, anything else as text."""
    text = str(value)
    try:
        if name in _TIMES:
            return float(text) if text.isdigit() else _milliseconds(text)
        return float(text) if name in ("count", "tinyId") else text.lower()
    except ValueError:
        return None


def _milliseconds(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000


def _holds(alert: Mapping[str, Any], name: str, wanted: str) -> bool:
    found = alert[name]
    if name in _TIMES:
        return _comparable(name, found) == _comparable(name, wanted)
    written = str(found).lower()
    if "*" in wanted:
        texts = [str(one).lower() for one in found] if isinstance(found, list) else [written]
        return any(fnmatchcase(text, wanted.replace("[", "[[]")) for text in texts)
    if name == "tags":
        return any(tag.lower() == wanted for tag in found)
    return wanted in written if name in _CONTAINS else written == wanted
