"""Bodies that can never be taken are answered in Opsgenie's way, and name the field."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.gateways.opsgenie.bodies import MAX_BODY_BYTES, fields_of, read_alert
from shared.events.cloudevents import Malformed
from shared.http.problems import Problem
from tests.support.fuzzing import ANY_JSON
from tests.unit.intake.builders import submission
from tests.unit.intake.gateways.opsgenie.conftest import Api

NOT_JSON: list[bytes] = [
    *(b"", b"{", b"nonsense", b"\xff\xfe", b"[" * 100_000, b"[]", b'"text"', b"7", b"null"),
    *(b"{}" + b" " * MAX_BODY_BYTES, b'[{"message": "x"}]', b'{"message": "x"} {}'),
]
NO_MESSAGES: list[Any] = [{}, {"message": ""}, {"message": " \n"}, {"message": None, "alias": "a"}]
NO_NOTES: list[Any] = [{}, {"note": ""}, {"note": 7}]
NO_TAGS: list[Any] = [{}, {"tags": []}, {"tags": "db"}]
NO_DETAILS: list[Any] = [{}, {"details": {}}]
NOT_PROCESSABLE: list[tuple[str, str, Any, str]] = [
    *[("POST", "", body, "message") for body in NO_MESSAGES],
    *[("POST", "/{id}/notes", body, "note") for body in NO_NOTES],
    *[("POST", "/{id}/tags", body, "tags") for body in NO_TAGS],
    *[("POST", "/{id}/details", body, "details") for body in NO_DETAILS],
    ("DELETE", "/{id}/tags", None, "tags"),
    ("DELETE", "/{id}/details", None, "keys"),
    ("PUT", "/{id}/message", {"message": " "}, "message"),
    ("PUT", "/{id}/description", {"description": None}, "description"),
    ("PUT", "/{id}/priority", {"priority": 1}, "priority"),
    ("POST", "/{id}/snooze", {}, "endTime"),
    ("POST", "/{id}/escalate", {"escalation": "Managers"}, "escalation"),
    ("POST", "/{id}/assign", {"owner": {"role": "x"}}, "owner"),
    ("POST", "/{id}/responders", {"responders": []}, "responder"),
    ("POST", "/{id}/teams", {"team": {"name": ""}}, "team"),
]


@pytest.mark.parametrize("body", NOT_JSON)
@pytest.mark.parametrize("path", ["", "/{id}/notes"])
async def test_what_is_no_json_object_is_400(api: Api, body: bytes, path: str) -> None:
    if path and not body:
        return  # actions may come without a body
    status, answer = await api.call("POST", path, body, given={"identifier": "disk"})
    assert status == 400
    assert answer["message"].startswith("body")


@pytest.mark.parametrize(("method", "path", "body", "field"), NOT_PROCESSABLE)
async def test_what_lacks_what_it_needs_is_422(
    api: Api, method: str, path: str, body: Any, field: str
) -> None:
    given = {"identifier": "disk"}
    status, answer = await api.call(method, path, body, given=given, identifierType="alias")
    assert status == 422
    assert answer["message"] == "Request body is not processable. Please check the errors."
    assert list(answer["errors"]) == [field]
    assert api.desk.signals == []


async def test_an_unknown_kind_of_identifier_is_422(api: Api) -> None:
    given = {"identifier": "disk"}
    status, answer = await api.call("POST", "/{id}/close", given=given, identifierType="name")
    assert (status, list(answer["errors"])) == (422, ["identifierType"])


FIELDS = (
    *("message", "alias", "description", "responders", "visibleTo", "actions", "tags", "details"),
    *("entity", "priority", "user", "note", "source"),
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, ANY_JSON)) | ANY_JSON)
def test_no_document_raises_anything_else(document: Any) -> None:
    body = json.dumps(document).encode()
    with suppress(Malformed, Problem):
        assert read_alert(body).message.strip()


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    for read in (read_alert, lambda sent: fields_of(submission(sent))):
        with suppress(Malformed, Problem):
            read(body)
