"""The signals in the body of a sender, as a mapping says."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from services.intake.gateways.domain import values
from services.intake.gateways.domain.expression import Expression, Interpreter, TooMuchWork
from services.intake.gateways.policy import Rule, SenderMapping, Status
from services.intake.signals.domain import AlertData, ChangeData, Signal
from services.intake.signals.domain.bounds import within_bounds
from shared.events.headers import Headers, normalised
from shared.events.ids import uuid7
from shared.events.malformed import Malformed
from shared.events.text import shorten
from shared.events.trace_context import TraceContext

_MAX_ITEMS = 1_000
_STEPS_OF_ITEM = 500
_MAX_DESCRIPTION = _MAX_LABEL = 4_096


@dataclass(frozen=True, slots=True)
class Received:
    """A request: its parsed body, and who sent it."""

    origin: str
    body: Any
    headers: Headers
    query: Mapping[str, str]
    received_at: datetime
    trace: TraceContext | None = None


def signals_in(name: str, mapping: SenderMapping, received: Received) -> list[Signal]:
    """The signals of one request; none where the mapping skips it.

    Raises Malformed for a body in which the mapping called `name` finds nothing.
    """
    reading = _Reading(name, mapping, received, Interpreter())
    try:
        return reading.signals()
    except TooMuchWork:
        raise Malformed(
            "body", f"has too much in it for the expressions of the mapping `{name}`"
        ) from None


@dataclass(frozen=True, slots=True)
class _Reading:
    name: str
    mapping: SenderMapping
    received: Received
    interpreter: Interpreter

    def signals(self) -> list[Signal]:
        document = {
            "body": self.received.body,
            "query": dict(self.received.query),
            "headers": {
                header.replace("-", "_"): value.decode("utf-8", "replace")
                for header, value in normalised(self.received.headers)
            },
        }
        fitting = [
            (place, rule)
            for place, rule in enumerate(self.mapping.signals)
            if rule.when is None or self._is_true(rule.when, document)
        ]
        if fitting or self.mapping.unmatched == "skip":
            return [
                signal for place, rule in fitting for signal in self._of_rule(rule, document, place)
            ]
        wanted = " or ".join(rule.when.text for rule in self.mapping.signals if rule.when)
        raise Malformed(
            "body", f"fits no rule of the mapping `{self.name}`: {shorten(wanted, 500)} is expected"
        )

    def _of_rule(self, rule: Rule, document: Mapping[str, Any], number: int) -> Iterator[Signal]:
        if rule.each is None:
            yield from self._signal(rule, document, f"#{number}")
            return
        items = self._needed(rule.each, document)
        if not isinstance(items, list):
            raise Malformed("body", f"{rule.each.text} is not a list")
        for place, item in enumerate(items[:_MAX_ITEMS]):
            own = replace(self, interpreter=Interpreter(_STEPS_OF_ITEM))
            yield from own._signal(rule, {**document, "item": item}, f"#{number}.{place}")

    def _signal(self, rule: Rule, document: Mapping[str, Any], part: str) -> Iterator[Signal]:
        status = self._status(rule.status, document)
        if status == "skipped":
            return
        # First what it cannot do without: the rest may take too many steps.
        sent_id = values.key(self._needed(rule.id, document))
        key = values.key(self._needed(rule.key, document))
        summary = values.line(self._value(rule.summary, document))
        if not (key or summary):
            raise self._nothing_in(rule)
        common = self._common(rule, document, summary)
        data = (
            self._change(rule, document, common)
            if rule.kind == "change"
            else self._alert(rule, document, common | {"status": status, "key": key})
        )
        received = self.received
        yield Signal(
            origin=received.origin,
            signal_id=f"{sent_id}{part}" if sent_id else str(uuid7()),
            sent_at=values.moment(self._value(rule.time, document)) or received.received_at,
            received_at=received.received_at,
            trace=received.trace,
            data=within_bounds(data),
            expire_after=self.mapping.expire_after if rule.kind == "alert" else None,
        )

    def _nothing_in(self, rule: Rule) -> Malformed:
        """A body in which neither the key nor the summary is found is another sender's."""
        missing = " and ".join(one.text for one in (rule.key, rule.summary) if one)
        return Malformed(
            "body",
            f"has nothing of what the mapping `{self.name}` looks for: "
            f"{shorten(missing, 500)} are empty",
        )

    def _alert(
        self, rule: Rule, document: Mapping[str, Any], fields: Mapping[str, Any]
    ) -> AlertData:
        description = values.text(self._value(rule.description, document), _MAX_DESCRIPTION)
        fires = fields["status"] == "firing"
        return AlertData(
            **fields,
            by=None if fires else values.name(self._value(rule.by, document)),
            severity=self._severity(rule, document),
            annotations={"description": description} if description.strip() else {},
            starts_at=values.moment(self._value(rule.time, document)) if fires else None,
        )

    def _change(
        self, rule: Rule, document: Mapping[str, Any], fields: Mapping[str, Any]
    ) -> ChangeData:
        change = rule.change
        kind = values.line(self._value(change.of, document)) if change else ""
        return ChangeData(
            **fields,
            kind="rollback" if change and _among(kind, change.rollback) else "deployment",
            version=values.name(self._value(change.version, document)) if change else None,
        )

    def _common(self, rule: Rule, document: Mapping[str, Any], summary: str) -> dict[str, Any]:
        service = values.name(self._value(rule.service, document))
        named = {
            label: found
            for label, expression in rule.labels.items()
            if (found := values.line(self._value(expression, document), _MAX_LABEL))
        }
        tags = values.labels(self._value(rule.tags, document))
        return {
            "summary": summary or f"{self.name} {rule.kind} without a summary",
            "service": service,
            "labels": values.labels(named | (tags | named)),
            "links": values.links(self._value(rule.links, document)),
        }

    def _severity(self, rule: Rule, document: Mapping[str, Any]) -> str | None:
        if rule.severity is None:
            return None
        sent = values.line(self._value(rule.severity.of, document), 64)
        known = {name.casefold(): severity for name, severity in rule.severity.map.items()}
        return known.get(sent.casefold(), sent) or None

    def _status(self, status: Status | None, document: Mapping[str, Any]) -> str:
        if status is None:
            return "firing"
        sent = values.line(self._needed(status.of, document), 255)
        for meaning in ("resolved", "acknowledged", "skipped"):
            if _among(sent, getattr(status, meaning)):
                return meaning
        return "firing"

    def _value(self, expression: Expression | None, document: Mapping[str, Any]) -> Any:
        """What an alert can do without: too much of it costs the field."""
        with suppress(TooMuchWork):
            return self._needed(expression, document)

    def _needed(self, expression: Expression | None, document: Mapping[str, Any]) -> Any:
        return expression.value(document, self.interpreter) if expression else None

    def _is_true(self, expression: Expression, document: Mapping[str, Any]) -> bool:
        found = self._needed(expression, document)
        return found is not None and found is not False and found not in ("", [], {})


def _among(value: str, listed: tuple[str, ...]) -> bool:
    return value.casefold() in map(str.casefold, listed)
