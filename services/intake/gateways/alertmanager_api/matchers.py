"""Matchers as Alertmanager's API takes them: `name="value"`, `!=`, `=~` and `!~`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import re2

from shared.events.malformed import Malformed

MAX_MATCHERS = 32
MAX_BYTES = 2_048
_MATCHER = re.compile(r'("(?:[^"\\]|\\.)*"|[^\s"{},=!~]+)\s*(=~|!~|!=|=)(.*)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.max_mem = 1 << 20


@dataclass(frozen=True, slots=True)
class Matcher:
    """A condition on one label. A label that is not there has the value ""."""

    name: str
    test: Callable[[str], bool]
    negated: bool

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether labels meet it."""
        return self.test(labels.get(self.name, "")) != self.negated


def read_matcher(written: str) -> Matcher:
    """A matcher. Raises Malformed."""
    if len(written.encode()) > MAX_BYTES:
        raise Malformed("filter", f"is longer than {MAX_BYTES} bytes")
    found = _MATCHER.fullmatch(written.strip())
    if found is None:
        raise Malformed("filter", f'bad matcher format: {written}; write name="value"')
    name, operator, value = _unquoted(found[1]), found[2], _unquoted(found[3].strip())
    test = read_pattern("filter", value) if "~" in operator else value.__eq__
    return Matcher(name, test, operator.startswith("!"))


def read_pattern(field: str, pattern: str) -> Callable[[str], bool]:
    """Whether a whole text is matched by a regular expression in the syntax of Go and Prometheus,
    in time that is linear in the text. Raises Malformed.
    """
    if len(pattern.encode()) > MAX_BYTES:
        raise Malformed(field, f"is longer than {MAX_BYTES} bytes")
    try:
        compiled = re2.compile(pattern, _OPTIONS)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        said = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise Malformed(field, f"is not a regular expression: {said}") from None
    return lambda text: compiled.fullmatch(text) is not None


def _unquoted(text: str) -> str:
    if len(text) < 2 or not (text.startswith('"') and text.endswith('"')):
        return text
    return _ESCAPED.sub(lambda found: "\n" if found[1] == "n" else found[1], text[1:-1])
