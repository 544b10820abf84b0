"""The report form for people, and its JSON API.

The key in the path is the credential, and no cookie is: a page of somebody else that sends this
form has to know the key, with which it could report anyway. A report's ticket, random and known to
its reporter alone, is the second half of the address of its progress.
"""

from typing import Any
from uuid import UUID, uuid4

from pydantic import BaseModel, Field
from starlette.responses import RedirectResponse, Response

from services.intake.gateways.gateway import IN_PATH, Answer, Body, Desk, Gateway, Route, Submission
from services.intake.gateways.report.form import (
    GROUP,
    MAX_BODY_BYTES,
    Faulty,
    Report,
    as_signal,
    origin_of,
    read_form,
    read_report,
    similar,
)
from services.intake.gateways.report.pages import page, refuse
from services.intake.gateways.report.progress import Progress, progress_of
from services.intake.signals.domain import KnownAlert
from shared.events.cloudevents import load_json
from shared.events.malformed import Malformed
from shared.http.problems import JsonResponse, Problem

_AGES = (
    *(("0", "Just now"), ("15", "A quarter of an hour"), ("60", "An hour")),
    *(("240", "Some hours"), ("1440", "A day"), ("10080", "A week or longer")),
)
_SEVERITIES = (
    ("critical", "Nobody can work"),
    ("error", "Some cannot work"),
    ("warning", "Work is slower or harder"),
    ("info", "It is odd, but does no harm"),
)


class SimilarIncident(BaseModel):
    """An open incident that others reported; its id can be sent as `join`."""

    incident_id: UUID
    what: str
    service: str | None


class TakenReport(BaseModel):
    """Either the ticket that finds a committed report's progress, or the similar incidents to
    choose from: then nothing is committed until it is sent again with `join`.
    """

    ticket: UUID | None = None
    similar: list[SimilarIncident] = Field(default_factory=list)


async def _take(
    desk: Desk, sent: Submission, report: Report, ticket: UUID
) -> UUID | list[KnownAlert]:
    """Commit a report, and return the ticket of the first report of its incident: an incident that
    has ended is found by that one. Or return what it may be one more of. Raises Faulty, Problem.
    """
    group = ticket
    if isinstance(report.join, UUID):
        members = await desk.members(origin_of(sent), report.join)
        groups = [one.annotations.get(GROUP) for one in members if one.status != "resolved"]
        if not (found := next(filter(None, groups), None)):
            raise Faulty({"join": "is over, or is not known; please report it as new"})
        group = UUID(found)
    elif not report.join and (found_alike := await _alike(desk, sent, report, ticket)):
        return found_alike
    await desk.submit([as_signal(report, ticket, group, sent)])
    return group


async def _alike(desk: Desk, sent: Submission, report: Report, ticket: UUID) -> list[KnownAlert]:
    known = await desk.open_alerts(origin_of(sent))
    if any(one.key == str(ticket) for one in known):
        return []  # it is sent again: it is not similar to itself
    return similar(report, known)


async def _show_form(_: Desk, __: Submission) -> Response:
    return _form({}, uuid4())


def _form(values: dict[str, str], ticket: UUID, alike: Any = (), faults: Any = None) -> Response:
    return page(
        "form.html",
        400 if faults else 200,
        values=values,
        ticket=ticket,
        similar=alike,
        faults=faults or {},
        ages=_AGES,
        severities=_SEVERITIES,
    )


async def _take_form(desk: Desk, sent: Submission) -> Response:
    values, ticket = read_form(sent.body), uuid4()
    try:
        report = read_report(values)
        ticket = report.ticket or ticket
        taken = await _take(desk, sent, report, ticket)
    except Faulty as error:
        return _form(values, ticket, faults=error.faults)
    if isinstance(taken, list):
        return _form(values, ticket, taken)
    # Relative to `/report/KEY/form`: no answer has the key.
    return RedirectResponse(f"progress/{taken}", 303, {"Cache-Control": "no-store"})


async def _take_json(desk: Desk, sent: Submission) -> Response:
    try:
        report = read_report(load_json(sent.body, "body", MAX_BODY_BYTES))
        ticket = report.ticket or uuid4()
        taken = await _take(desk, sent, report, ticket)
    except Faulty as error:
        raise Malformed(*next(iter(error.faults.items()))) from None
    if isinstance(taken, UUID):
        return JsonResponse(TakenReport(ticket=taken).model_dump())
    listed = [
        SimilarIncident(incident_id=one.incident_id, what=one.summary, service=one.service)
        for one in taken
    ]
    return JsonResponse(TakenReport(similar=listed).model_dump())


async def _progress(desk: Desk, sent: Submission) -> Progress:
    try:
        ticket = str(UUID(sent.path["ticket"]))
    except ValueError:
        ticket = ""
    found = await desk.alerts(origin_of(sent), [ticket]) if ticket else ()
    for alert in found:
        if alert.key == ticket:
            return progress_of(alert)
    raise Problem(404, "Not found", "There is no such report here, or not any more.")


async def _show_progress(desk: Desk, sent: Submission) -> Response:
    return page("progress.html", state=await _progress(desk, sent))


async def _tell_progress(desk: Desk, sent: Submission) -> Response:
    return JsonResponse((await _progress(desk, sent)).model_dump())


def _page(path: str, respond: Any, method: str = "GET", **more: Any) -> Route:
    return Route(
        path=f"/report/{{key}}/{path}",
        summary="The report form for people, as a page.",
        answer=Answer(200, str),
        respond=respond,
        method=method,
        authentication=IN_PATH,
        refuse=refuse,
        described=False,
        **more,
    )


GATEWAY = Gateway(
    "report",
    [
        _page("form", _show_form),
        _page(
            "form",
            _take_form,
            "POST",
            bodies=[Body("application/x-www-form-urlencoded", Report, MAX_BODY_BYTES)],
        ),
        _page("progress/{ticket}", _show_progress),
        Route(
            path="/v1/report/{key}",
            summary="Report what is wrong, as a person. Similar open incidents are answered first.",
            answer=Answer(200, TakenReport),
            respond=_take_json,
            bodies=[Body("application/json", Report, MAX_BODY_BYTES)],
            authentication=IN_PATH,
        ),
        Route(
            path="/v1/report/{key}/{ticket}",
            summary="How a report goes on.",
            answer=Answer(200, Progress),
            respond=_tell_progress,
            method="GET",
            authentication=IN_PATH,
        ),
    ],
)
