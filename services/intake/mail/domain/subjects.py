"""What the subject of an alert's mail says: whether it fires, and what it is about.

The key is the subject without what differs between the mail that reports and the one that ends it:
status words, counts and durations.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Status = Literal["firing", "acknowledged", "resolved"]


@dataclass(frozen=True, slots=True)
class Subject:
    """`key` is what identifies the alert; `labels` what else the subject tells."""

    status: Status
    key: str
    severity: str | None = None
    labels: dict[str, str] = field(default_factory=dict)


_SEVERITY = {
    "CRITICAL": "critical",
    "DOWN": "critical",
    "UNREACHABLE": "error",
    "UNKNOWN": "error",
    "WARNING": "warning",
}
_SPAN = r"\d[\w .,:]{0,40}"
_NAGIOS = re.compile(r"\*\* (\w+) (?:Service|Host) Alert: (.+) is ([A-Z]+) \*\*")
_ICINGA = re.compile(r"\[([A-Z]+)\] (.+) is ([A-Z]+)!?")
_ZABBIX = re.compile(rf"(Problem|Resolved|Updated problem)(?: in {_SPAN}?)?: (.+)")
_ZABBIX_ID = re.compile(r"^Original problem ID: (\d{1,30})\s*$", re.MULTILINE)
_ZABBIX_SEVERITY = re.compile(r"^Severity: ([A-Za-z ]{1,40})\s*$", re.MULTILINE)
_ZABBIX_HOST = re.compile(r"^Host: (\S.{0,200})$", re.MULTILINE)
_ALERTMANAGER = re.compile(r"\[(FIRING|RESOLVED)(?::\d+)?\] ?(.+)")
_AWS = re.compile(r'(ALARM|OK|INSUFFICIENT_DATA): "(.+)" in (.+)')
_CRON = re.compile(r"Cron <([^<>]+)> ?(.*)")
_ANSWER = re.compile(r"(?:(?:re|fwd?|aw|wg|sv|tr) ?: ?)+", re.IGNORECASE)
_ENDED = r"resolved|recovered|recovery|cleared|closed|restored|ok|up"
_BEGUN = r"alert|alarm|firing|triggered|problem|critical|error|warning|warn|down|failed|failure"
_WORD = re.compile(
    rf"(?:\[(?:(?P<a>{_ENDED})|{_BEGUN})(?:[: ]\d+)?\] ?:? ?"
    rf"|(?:(?P<b>{_ENDED})|{_BEGUN}) ?: ?)(?P<rest>.+)",
    re.IGNORECASE,
)
# Set off from what is before it: else `backing up` were an end.
_AT_THE_END = re.compile(
    rf"(?P<rest>.*\S)(?:(?: (?:is|was|has)(?: been)?| -|:) (?:(?P<a>{_ENDED})|{_BEGUN})"
    rf"| [\[(](?:(?P<b>{_ENDED})|{_BEGUN})[\])])[.!]?",
    re.IGNORECASE,
)
_UNIT = r"(?:d|h|m|s|days?|hours?|hrs?|minutes?|mins?|seconds?|secs?)"
_DURATION = re.compile(rf" (?:in|for|after|since) \d+ ?{_UNIT}(?: \d+ ?{_UNIT}){{0,3}}\b", re.I)
_COUNT = re.compile(r"[\[(]\d+[\])]|\b\d+ (?:times|alerts|events)\b", re.IGNORECASE)


def read_subject(subject: str, text: str = "") -> Subject:
    """The subject of a mail; `text` is what follows, in which some senders give details."""
    subject = _ANSWER.sub("", subject.strip(), count=1) if _ANSWER.match(subject) else subject
    for read in _READERS:
        if found := read(subject, text):
            return found
    return _plain(subject)


def _nagios(subject: str, _: str) -> Subject | None:
    match = _NAGIOS.fullmatch(subject)
    return _monitored(match[1], match[2], match[3], "/") if match else None


def _icinga(subject: str, _: str) -> Subject | None:
    match = _ICINGA.fullmatch(subject)
    if match is None or match[3] not in (*_SEVERITY, "OK", "UP"):
        return None
    service, on, host = match[2].rpartition(" on ")
    return _monitored(match[1], f"{host}!{service}" if on else host, match[3], "!")


def _monitored(kind: str, what: str, state: str, separator: str) -> Subject:
    host, _, service = what.partition(separator)
    status: Status = "firing"
    if state in ("OK", "UP"):
        status = "resolved"
    elif kind == "ACKNOWLEDGEMENT":
        status = "acknowledged"
    labels = {"host": host.strip()} | ({"check": service.strip()} if service else {})
    return Subject(status, what, _SEVERITY.get(state), labels)


def _zabbix(subject: str, text: str) -> Subject | None:
    match = _ZABBIX.fullmatch(subject)
    if match is None:
        return None
    number = _ZABBIX_ID.search(text)
    severity, host = _ZABBIX_SEVERITY.search(text), _ZABBIX_HOST.search(text)
    if number is None and match[1] == "Problem" and severity is None:
        return None  # another program's word
    return Subject(
        "resolved" if match[1] == "Resolved" else "firing",
        f"problem {number[1]}" if number else match[2],
        severity[1].strip() if severity else None,
        {"host": host[1].strip()} if host else {},
    )


def _alertmanager(subject: str, _: str) -> Subject | None:
    match = _ALERTMANAGER.fullmatch(subject)
    if match is None:
        return None
    group, common, _end = match[2].strip().partition(" (")  # what alerts share changes with them
    key = group if common and match[2].endswith(")") else match[2]
    return Subject("firing" if match[1] == "FIRING" else "resolved", _key(key))


def _aws(subject: str, _: str) -> Subject | None:
    match = _AWS.fullmatch(subject)
    if match is None:
        return None
    status: Status = "firing" if match[1] == "ALARM" else "resolved"
    return Subject(status, f"{match[2]} in {match[3]}", labels={"region": match[3]})


def _cron(subject: str, _: str) -> Subject | None:
    match = _CRON.fullmatch(subject)
    if match is None:
        return None
    user, at, host = match[1].partition("@")
    return Subject("firing", subject, labels={"host": host, "user": user} if at else {})


_READERS: tuple[Callable[[str, str], Subject | None], ...] = (
    *(_nagios, _alertmanager, _icinga, _zabbix, _aws, _cron),
)


def _plain(subject: str) -> Subject:
    """A subject of no program that is known here: a status word may begin or end it."""
    match = _WORD.fullmatch(subject) or _AT_THE_END.fullmatch(subject)
    if match is None:
        return Subject("firing", _key(subject))
    status: Status = "resolved" if match["a"] or match["b"] else "firing"
    return Subject(status, _key(match["rest"]) or _key(subject))


def _key(text: str) -> str:
    without = _COUNT.sub(" ", _DURATION.sub(" ", text))
    return " ".join(without.split()).strip(" -:,").lower()
