"""People in teams.yaml: users, the addresses where they can be reached, and teams."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, ConfigDict, Field

from shared.policy.files import Finding, PolicyModel, did_you_mean
from shared.policy.secrets import WrittenRule
from shared.policy.tree import Path


@dataclass(frozen=True, slots=True)
class Method:
    """A way to reach people, as users name it in `methods`. `field` is the user's key that holds
    the address.

    `check` says what is wrong with an address, or None; it must not repeat the address, which may
    hold a secret. `rule` makes the rule about secrets in the address as it is written in the file.
    A user without `methods` is reached by those with an address, the highest `preference` first.
    """

    name: str
    field: str
    check: Callable[[str], str | None]
    rule: Callable[[Path], WrittenRule] | None = None
    preference: int = 0


Methods = Mapping[str, Method]
"""The methods that there are, by name."""


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        hint = did_you_mean(value, available_timezones())
        raise ValueError(f"no time zone of this name{', ' + hint if hint else ''}") from None
    return value


def _name(value: str) -> str:
    # Names are part of attempt keys, which are sent as header values.
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", value):
        raise ValueError("a name has letters, digits, - and _, at most 63")
    return value


Name = Annotated[str, AfterValidator(_name)]
Zone = Annotated[str, AfterValidator(_zone)]


class User(PolicyModel):
    """A person. `methods` are tried in order: the next when the one before has failed for good.

    Every other key is the address field of a method.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Any] = Field(init=False)

    name: str
    time_zone: Zone = "UTC"
    methods: tuple[str, ...] = ()

    @property
    def addresses(self) -> dict[str, str]:
        """The addresses by the names of their fields."""
        extra = self.__pydantic_extra__.items()
        return {field: value for field, value in extra if value and isinstance(value, str)}

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Without addresses: they may be secrets."""
        shown = type(self).model_fields
        return [(name, value) for name, value in super().__repr_args__() if name in shown]


class Team(PolicyModel):
    """A team and the escalation policy of its incidents."""

    policy: str


def check_user(name: str, user: User, methods: Methods) -> Iterator[Finding | WrittenRule]:
    """What is wrong with a user whose shape is right."""
    path = ("users", name)
    fields = {method.field: method for method in methods.values()}
    for field, value in user.__pydantic_extra__.items():
        if method := fields.get(field):
            yield from _check_address((*path, field), value, method)
        else:
            hint = did_you_mean(field, [*User.model_fields, *fields])
            yield Finding((*path, field), f"unknown key `{field}`", hint)
    if not user.methods and not user.addresses.keys() & fields.keys():
        hint = f"add one of {', '.join(sorted(fields))}"
        yield Finding(path, f"user `{name}` has no address", hint)
    yield from _check_methods(name, user, methods)


def _check_address(path: Path, value: Any, method: Method) -> Iterator[Finding | WrittenRule]:
    if value is None:
        return
    wrong = method.check(value) if isinstance(value, str) else "a text is expected here"
    if wrong:
        yield Finding(path, f"`{'.'.join(map(str, path))}`: {wrong}")
    elif method.rule:
        yield method.rule(path)


def _check_methods(name: str, user: User, methods: Methods) -> Iterator[Finding]:
    for place, wanted in enumerate(user.methods):
        path = ("users", name, "methods", place)
        method = methods.get(wanted)
        if method is None:
            hint = did_you_mean(wanted, methods) or f"known are {', '.join(sorted(methods))}"
            yield Finding(path, f"there is no method `{wanted}`", hint)
        elif method.field not in user.addresses:
            yield Finding(path, f"user `{name}` has no `{method.field}`", "add its address")


def with_methods(user: User, methods: Methods) -> User:
    """The user with the default for `methods` filled in."""
    if user.methods:
        return user
    usable = [method for method in methods.values() if method.field in user.addresses]
    usable.sort(key=lambda method: (-method.preference, method.name))
    return user.model_copy(update={"methods": tuple(method.name for method in usable)})
