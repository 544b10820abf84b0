"""Opsgenie's calls that act on an alert. Each is answered with 202, and the status of the request
says what came of it.

Dying before the submission, nothing was answered and nothing is done. After it, the sender repeats
the call: that ends, acknowledges or changes nothing more; only a note is there twice.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from starlette.responses import Response

from services.intake.gateways.domain.texts import text
from services.intake.gateways.gateway import Desk, Submission
from services.intake.gateways.opsgenie.alerts import (
    Status,
    changed,
    new_alert,
    origin,
    signal,
    with_note,
)
from services.intake.gateways.opsgenie.answers import accepted
from services.intake.gateways.opsgenie.bodies import Fields, fields_of, read_alert
from services.intake.gateways.opsgenie.changes import Prepare, Wish
from services.intake.gateways.opsgenie.identifiers import Outcome, alert_id, own_alias, request_id
from services.intake.gateways.opsgenie.targets import CLOSED, Target, find_target
from services.intake.signals.domain import AlertData, Decision, Signal

Respond = Callable[[Desk, Submission], Awaitable[Response]]


async def create(desk: Desk, submission: Submission) -> Response:
    """A new alert, or one more occurrence of the open one with its alias."""
    sent = read_alert(submission.body)
    before = None
    if sent.alias:
        known = await desk.alerts(origin(submission), [sent.alias])
        before = next((one for one in known if one.status != "resolved"), None)
    data = new_alert(submission, sent, before)
    made = signal(submission, data)
    if not sent.alias:
        made = replace(made, data=data.model_copy(update={"key": own_alias(made.subject)}))
    taken = (await desk.submit([made]))[made.identity]
    key = sent.alias or own_alias(made.subject)
    return _answer(
        submission,
        Outcome("Create", True, "Created alert", alert_id(taken.subject or made.subject, key), key),
    )


def settle(action: str, status: Status, done: str) -> Respond:
    """A call that closes or acknowledges an alert."""

    async def respond(desk: Desk, submission: Submission) -> Response:
        fields = fields_of(submission)
        user, note = text(fields.get("user"), 255), text(fields.get("note"))
        target = await find_target(desk, submission)
        if not target.key:
            return _failed(submission, action, target)
        signals: list[Signal] = []
        if note and target.known and target.is_open:
            noted = with_note(target.known.annotations, submission.received_at, user, note)
            signals.append(signal(submission, changed(target.known, "firing", annotations=noted)))
        signals.append(_settling(submission, action, status, target, fields))
        taken = (await desk.submit(signals))[signals[-1].identity]
        if taken.decision is Decision.NOTHING_WAS_OPEN or taken.subject is None:
            return _failed(submission, action, target)
        found = alert_id(taken.subject, target.key)
        return _answer(submission, Outcome(action, True, done, found, target.key))

    return respond


def change(action: str, done: str, prepare: Prepare) -> Respond:
    """A call that changes what an open alert says."""

    async def respond(desk: Desk, submission: Submission) -> Response:
        apply = prepare(submission, fields_of(submission))
        target = await find_target(desk, submission)
        known = target.known
        if known is None or not await _changed(desk, submission, target, apply(known)):
            return _failed(submission, action, target)
        found = alert_id(known.incident_id, known.key)
        return _answer(submission, Outcome(action, True, done, found, known.key))

    return respond


def wish(action: str, describe: Wish) -> Respond:
    """A call for what Tocsin does not do: the alert has a note of it, and its status says so."""

    async def respond(desk: Desk, submission: Submission) -> Response:
        fields = fields_of(submission)
        wanted = describe(submission, fields)
        target = await find_target(desk, submission)
        problem = f"Tocsin does not {wanted}"
        if known := target.known:
            note = text(f"asked to {wanted}, which is not done. {text(fields.get('note'))}").strip()
            user = text(fields.get("user"), 255)
            noted = with_note(known.annotations, submission.received_at, user, note)
            if await _changed(desk, submission, target, {"annotations": noted}):
                problem += "; the alert has a note of it"
                return _answer(submission, Outcome(action, False, text(problem, 500)))
        return _failed(submission, action, target)

    return respond


async def _changed(desk: Desk, submission: Submission, target: Target, changes: Fields) -> bool:
    """Send an open alert again, changed. False where it is not open any more."""
    known = target.known
    if known is None or not target.is_open:
        return False
    made = signal(submission, changed(known, "firing", **changes))
    taken = (await desk.submit([made]))[made.identity]
    if taken.decision is not Decision.OPENED:
        return True
    # It was closed in between, and nobody said that it fires again.
    await desk.submit([signal(submission, changed(known, "resolved"))])
    return False


def _settling(
    submission: Submission, action: str, status: Status, target: Target, fields: Fields
) -> Signal:
    by = text(fields.get("user") or fields.get("source"), 255)
    if target.known:
        return signal(submission, changed(target.known, status, by))
    summary = text(f"{action} {target.key}", 1024)
    data = AlertData(status=status, summary=summary, key=target.key, by=by or None)
    return signal(submission, data)


def _failed(submission: Submission, action: str, target: Target) -> Response:
    closed = target.known is not None and not target.is_open
    return _answer(submission, Outcome(action, False, CLOSED if closed else target.problem))


def _answer(submission: Submission, outcome: Outcome) -> Response:
    return accepted(request_id(submission.integration.name, outcome))
