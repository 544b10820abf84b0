"""An integration and its settings, as integrations.yaml and the database have them."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from shared.policy.files import Duration, PolicyModel

_NAME = re.compile(r"(?!topic$)[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def check_name(name: str) -> str:
    """The name. Raises ValueError for one that could be mistaken for another sender's."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            "a name has letters, digits, dots, dashes and underscores, at most 63 of them, "
            "and is not `topic`"
        )
    return name


def _flag(value: Any) -> Any:
    """true or false alone: pydantic takes `on` and `y` too."""
    if value not in ("true", "false", True, False):
        raise ValueError("write true or false")
    return value


def _plain(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("must be printable text")
    return text


Name = Annotated[str, AfterValidator(check_name)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(_plain)]
LabelValue = Annotated[
    str, StringConstraints(min_length=1, max_length=1024), AfterValidator(_plain)
]


class Grouping(PolicyModel):
    """Which alerts of an integration are one incident, in place of what intake.yaml says: those
    with the same values of the labels `by`, that begin within the `window`, at most `max_size`.
    """

    by: tuple[Text, ...] = ()
    window: Duration | None = Field(default=None, ge=timedelta(seconds=1), le=timedelta(days=7))
    max_size: int | None = Field(default=None, ge=1, le=10_000)


class Settings(PolicyModel):
    """What an integration is allowed, and what is added to its signals.

    `gateway` is the only one that its keys open; None: any. `labels`, `environment` and `team` are
    added where a signal has no label of that name. `sends_resolved` and `expire_after` say how its
    alerts end. `rate` (signals a second) and `burst` bound what one process of intake takes.
    """

    gateway: Text | None = None
    grouping: Grouping | None = None
    team: Text | None = None
    labels: Annotated[dict[Text, LabelValue], Field(max_length=32)] = {}
    environment: Text | None = None
    sends_resolved: Annotated[bool, BeforeValidator(_flag)] = True
    expire_after: Duration | None = Field(
        default=None, ge=timedelta(minutes=1), le=timedelta(days=90)
    )
    rate: float | None = Field(default=None, gt=0, le=100_000)
    burst: int = Field(default=1_000, ge=1, le=1_000_000)


class Integration(Settings):
    """Who sends: a system, or a part of one, that has keys of its own."""

    name: str

    @property
    def is_plain(self) -> bool:
        """Whether every setting has its default."""
        return not self.model_fields_set - {"name"}

    @property
    def added(self) -> dict[str, str]:
        """Labels for signals that have none of these names."""
        named = {"environment": self.environment, "team": self.team}
        return {**self.labels, **{name: value for name, value in named.items() if value}}
