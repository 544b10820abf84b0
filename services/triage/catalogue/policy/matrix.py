"""The key `priority` of catalogue.yaml: which impact a tier has, which urgency a severity has, and
which priority follows from both. A team may name as many levels as it needs.
"""

from collections.abc import Collection, Iterable, Iterator, Set
from typing import Annotated

from pydantic import AfterValidator, Field

from shared.events.intake import Severity
from shared.events.triage import Priority
from shared.policy.files import Finding, PolicyModel, did_you_mean

_MAX_LEVEL_LENGTH = 50
_SEVERITIES = [severity.value for severity in Severity]


def _level(name: str) -> str:
    if not name.strip() or len(name) > _MAX_LEVEL_LENGTH or not name.isprintable():
        raise ValueError(f"name a level in 1 to {_MAX_LEVEL_LENGTH} characters")
    return name


Level = Annotated[str, AfterValidator(_level)]
"""A level of impact or urgency, by the name that the team gave it."""
Tier = Annotated[int, Field(ge=1, le=99)]

_P1, _P2, _P3, _P4, _P5 = Priority
_ITIL_MATRIX: dict[str, dict[str, Priority]] = {
    "high": {"high": _P1, "medium": _P2, "low": _P3},
    "medium": {"high": _P2, "medium": _P3, "low": _P4},
    "low": {"high": _P3, "medium": _P4, "low": _P5},
}


class PriorityRules(PolicyModel):
    """`matrix` has a row for each impact and in it a column for each urgency. `default_impact` is
    that of incidents without a service of the catalogue.
    """

    matrix: dict[Level, dict[Level, Priority]] = Field(_ITIL_MATRIX, min_length=1)
    impact_of_tier: dict[Tier, Level] = {1: "high", 2: "medium", 3: "low", 4: "low"}
    urgency_of_severity: dict[str, Level] = {
        "critical": "high",
        "error": "medium",
        "warning": "medium",
        "info": "low",
    }
    default_impact: Level = "medium"

    @property
    def tiers(self) -> str:
        """The tiers that have an impact, for people."""
        return ", ".join(str(tier) for tier in sorted(self.impact_of_tier))


def check_rules(rules: PriorityRules) -> Iterator[Finding]:
    """What keeps the rules from giving every incident a priority, and levels that none can have."""
    yield from _check_severities(rules)
    yield from _check_impacts(rules)
    yield from _check_urgencies(rules)


def _check_severities(rules: PriorityRules) -> Iterator[Finding]:
    for name in rules.urgency_of_severity:
        if name not in _SEVERITIES:
            hint = did_you_mean(name, _SEVERITIES) or f"the severities are {_list(_SEVERITIES)}"
            message = f"there is no severity `{name}`"
            yield _finding("urgency_of_severity", name, message=message, hint=hint)
    for name in _SEVERITIES:
        if name not in rules.urgency_of_severity:
            message = f"severity `{name}` has no urgency"
            yield _finding("urgency_of_severity", message=message, hint=f"add `{name}:`")


def _check_impacts(rules: PriorityRules) -> Iterator[Finding]:
    for tier, level in rules.impact_of_tier.items():
        if level not in rules.matrix:
            yield _unknown_level(rules, "impact_of_tier", str(tier), level, rules.matrix)
    if rules.default_impact not in rules.matrix:
        yield _unknown_level(rules, "default_impact", "", rules.default_impact, rules.matrix)
    used = {*rules.impact_of_tier.values(), rules.default_impact}
    for level in rules.matrix:
        if level not in used:
            hint = did_you_mean(level, used) or "name it in `impact_of_tier`, or take the row out"
            message = f"no tier has impact `{level}`"
            yield _finding("matrix", level, message=message, hint=hint)


def _check_urgencies(rules: PriorityRules) -> Iterator[Finding]:
    columns = {level for row in rules.matrix.values() for level in row}
    for severity, level in rules.urgency_of_severity.items():
        if level not in columns:
            yield _unknown_level(rules, "urgency_of_severity", severity, level, columns)
    used = set(rules.urgency_of_severity.values())
    yield from _check_unused_urgencies(rules, used)
    for impact, row in rules.matrix.items():
        for urgency in sorted((used & columns) - row.keys()):
            message = f"impact `{impact}` with urgency `{urgency}` has no priority"
            hint = f"add `{urgency}:` with {_list(Priority)}"
            yield _finding("matrix", impact, message=message, hint=hint)


def _check_unused_urgencies(rules: PriorityRules, used: Set[str]) -> Iterator[Finding]:
    found: set[str] = set()  # each is reported in the first row that has it
    for impact, row in rules.matrix.items():
        for urgency in row:
            if urgency in used or urgency in found:
                continue
            found.add(urgency)
            hint = did_you_mean(urgency, used - row.keys())
            hint = hint or "name it in `urgency_of_severity`, or take the column out"
            message = f"no severity has urgency `{urgency}`"
            yield _finding("matrix", impact, urgency, message=message, hint=hint)


def _unknown_level(
    rules: PriorityRules, key: str, name: str, level: str, known: Collection[str]
) -> Finding:
    """A level that the matrix does not have. A default is not in the file, so its key is named."""
    kind = "urgency" if key == "urgency_of_severity" else "impact"
    message = f"there is no {kind} `{level}` in the matrix"
    if key not in rules.model_fields_set:
        where = f"{key}.{name}" if name else key
        message = f"`{where}` is `{level}` by default, and {message}"
        return _finding(message=message, hint=f"add `{key}:`")
    hint = did_you_mean(level, known) or f"the matrix has {_list(known)}"
    return _finding(key, *([name] if name else []), message=message, hint=hint)


def _finding(*path: str, message: str, hint: str) -> Finding:
    return Finding(("priority", *path), message, hint)


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)
