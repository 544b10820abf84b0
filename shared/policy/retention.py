"""retention.yaml: how long each service keeps what is over, and each topic its records. The file
may be missing; every key has a default.

A service declares what of its schema ages in the package that it names in the entry points
`tocsin.retention`: the model `Retention` in its module `policy`, the SQL in its module `store`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, create_model

from shared.events import operations, rejections
from shared.kafka.topics import TOPICS, Topic, kept_for
from shared.policy.files import (
    Duration,
    Finding,
    PolicyError,
    PolicyFile,
    PolicyModel,
    check_file,
    did_you_mean,
    read_policy,
)
from shared.runtime.discovery import RETENTION, installed

FILE = "retention.yaml"
Texts = Mapping[str, bytes]
"""The policy files in force, by name; one that is missing is empty."""
Periods = Mapping[str, timedelta]
"""How long rows are kept, by their kind."""

_LEAST, _MOST = timedelta(days=31), timedelta(days=36500)
_DAY = timedelta(days=1)
_ONLY_RECORDED = {rejections.REJECTIONS, rejections.DEAD_LETTERS, operations.TOPIC}
"""Topics whose records make nothing but entries of the audit log."""


def _kept(value: timedelta) -> timedelta:
    if not _LEAST <= value <= _MOST:
        raise ValueError("must be from 31d, since Kafka keeps what made it for 30 days, to 36500d")
    return value


Kept = Annotated[Duration, AfterValidator(_kept)]
"""How long rows are kept that Kafka could have a service write again: longer than any topic keeps
records (30 days by default), so that what is forgotten cannot come back as something new.
"""


def _kept_by_topic(value: timedelta) -> timedelta:
    if not _DAY <= value <= _MOST:
        raise ValueError(
            "must be from 1d, since a service that is away for longer loses what it did not read, "
            "to 36500d"
        )
    return value


KeptByTopic = Annotated[Duration, AfterValidator(_kept_by_topic)]
"""How long a topic keeps records."""


class RetentionPolicy(PolicyModel):
    """What holds for all services; each has a section of its own beside it."""

    every: Duration = Field(default=_DAY, ge=timedelta(minutes=1), le=timedelta(days=31))
    """How long after a run the next one begins."""
    topics: dict[str, KeptByTopic] = {}
    """By the topic's name, without prefix, where not as it is declared."""


@cache
def _model() -> type[RetentionPolicy]:
    """The whole file. A section of a service that is not part of this image may hold anything."""
    here = {entry.name: entry for entry in installed(RETENTION)}
    sections: dict[str, Any] = {
        entry.name: (dict[str, Any], {}) for entry in entry_points(group=RETENTION)
    }
    for name, entry in here.items():
        section: type[PolicyModel] = import_module(f"{entry.value}.policy").Retention
        sections[name] = (section, section())
    return create_model("RetentionFile", __base__=RetentionPolicy, **sections)


def read_retention(data: bytes) -> PolicyFile[RetentionPolicy]:
    """retention.yaml, checked; an empty file is the defaults. Raises InvalidPolicy with all
    errors.
    """
    return read_policy(FILE, data, _model(), _findings)


def _findings(policy: RetentionPolicy) -> Iterator[Finding]:
    """What is wrong with the section `topics`."""
    known = {topic.name: topic for topic in TOPICS}
    shortest = min(_periods(policy), default=None)
    for name, kept in policy.topics.items():
        path = ("topics", name)
        if name not in known:
            yield Finding(path, f"there is no topic `{name}`", did_you_mean(name, known))
        elif known[name].retention is None:
            text = f"`{name}` is compacted: it keeps the newest record of each key, however old"
            yield Finding(path, text)
        elif name not in _ONLY_RECORDED and shortest and kept + _DAY > shortest[0]:
            text = (
                f"`{name}`: must be a day shorter than `{shortest[1]}`, which is "
                f"{shortest[0] / _DAY:g}d: a record must not outlive what it made"
            )
            yield Finding(path, text, f"or set `{shortest[1]}` to {(kept + _DAY) / _DAY:g}d")


def _periods(policy: RetentionPolicy) -> Iterator[tuple[timedelta, str]]:
    """How long rows are kept, and the key that says so, of the services that are installed."""
    for service, section in policy:
        if isinstance(section, PolicyModel):
            yield from ((kept, f"{service}.{kind}") for kind, kept in section)


def topics_in(directory: Path) -> tuple[Topic, ...]:
    """All topics with the retention that a policy folder gives them. Raises InvalidPolicy."""
    file = directory / FILE
    return topics_by(file.read_bytes() if file.exists() else b"")


def topics_by(data: bytes) -> tuple[Topic, ...]:
    """All topics with the retention that a text of the file gives them. Raises InvalidPolicy."""
    return kept_for(read_retention(data).content.topics)


def periods_in(texts: Texts, service: str) -> dict[str, timedelta]:
    """How long a service keeps what its section of the file names. Raises InvalidPolicy."""
    section = getattr(read_retention(texts[FILE]).content, service)
    return {name: getattr(section, name) for name in type(section).model_fields}


@dataclass(frozen=True, slots=True)
class RetentionPlan:
    """What the policy in force says: how long rows are kept, by kind, and how often to look."""

    version: str
    periods: Periods
    every: timedelta


def make_plan(texts: Texts, periods: Callable[[Texts], Periods]) -> RetentionPlan:
    """What the files say, with the `periods` of a service. Raises InvalidPolicy."""
    file = read_retention(texts[FILE])
    return RetentionPlan(file.version, periods(texts), file.content.every)


def check(directory: Path) -> list[PolicyError]:
    """All errors of retention.yaml in a policy folder; none when there is no such file."""
    file = directory / FILE
    return check_file(file, read_retention) if file.exists() else []
