"""People in teams.yaml: users, how they can be reached, and teams."""

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, Field, model_validator

from shared.policy.files import PolicyModel, did_you_mean

Method = Literal["webhook", "email"]


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        hint = did_you_mean(value, available_timezones())
        raise ValueError(f"no time zone of this name{', ' + hint if hint else ''}") from None
    return value


def _address(value: str) -> str:
    # The message must not repeat the address: its path may be a token.
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ValueError("an address is http:// or https:// with a host, and holds no user name")
    return value


def _name(value: str) -> str:
    # Names end up in attempt keys, which travel as header values.
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", value):
        raise ValueError("a name has letters, digits, - and _, at most 63")
    return value


def _email(value: str) -> str:
    if len(value) > 254 or not re.fullmatch(r"[^@\s,;<>]+@[^@\s,;<>]+", value):
        raise ValueError("write one mail address, name@host")
    return value


Name = Annotated[str, AfterValidator(_name)]
Zone = Annotated[str, AfterValidator(_zone)]
Email = Annotated[str, AfterValidator(_email)]
Address = Annotated[str, AfterValidator(_address)]


class User(PolicyModel):
    """A person. `methods` are tried in order: the next one when the one before has failed for good."""

    name: str
    email: Email = Field(repr=False)
    webhook: Address | None = Field(default=None, repr=False)
    time_zone: Zone = "UTC"
    methods: tuple[Method, ...] = Field(default=("webhook", "email"), min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _usable_methods(cls, data: Any) -> Any:
        if isinstance(data, dict) and "methods" not in data and not data.get("webhook"):
            return {**data, "methods": ("email",)}
        return data


class Team(PolicyModel):
    """A team and the escalation policy of its incidents."""

    policy: str
