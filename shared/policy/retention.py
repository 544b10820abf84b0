"""retention.yaml: how long each service keeps what is over. The file may be missing; every key has
a default.

A service declares what of its schema ages in the package that it names in the entry points
`tocsin.retention`: the model `Retention` in its module `policy`, the SQL in its module `store`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, create_model

from shared.policy.files import (
    Duration,
    PolicyError,
    PolicyFile,
    PolicyModel,
    check_file,
    read_policy,
)
from shared.runtime.discovery import RETENTION, installed

FILE = "retention.yaml"
Texts = Mapping[str, bytes]
"""The policy files in force, by name; one that is missing is empty."""
Periods = Mapping[str, timedelta]
"""How long rows are kept, by their kind."""

_LEAST, _MOST = timedelta(days=31), timedelta(days=36500)


def _kept(value: timedelta) -> timedelta:
    if not _LEAST <= value <= _MOST:
        raise ValueError("must be from 31d, since Kafka keeps what made it for 30 days, to 36500d")
    return value


Kept = Annotated[Duration, AfterValidator(_kept)]
"""How long rows are kept that Kafka could have a service write again: longer than any topic keeps
records (30 days), so that what is forgotten cannot come back as something new.
"""


class RetentionPolicy(PolicyModel):
    """What holds for all services; each has a section of its own beside it."""

    every: Duration = Field(
        default=timedelta(days=1), ge=timedelta(minutes=1), le=timedelta(days=31)
    )
    """How long after a run the next one begins."""


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
    return read_policy(FILE, data, _model())


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
