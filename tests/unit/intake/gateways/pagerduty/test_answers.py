"""PagerDuty's answers to what is not taken: they decide whether a sender tries again."""

import orjson
import pytest

from services.intake.gateways.pagerduty import GATEWAY
from services.intake.gateways.pagerduty.answers import key_in_body
from shared.events.cloudevents import Malformed
from shared.http.app import malformed_problem
from shared.http.auth import unauthorised
from shared.http.problems import Problem

VERSION_2, CHANGES, VERSION_1 = GATEWAY.routes


def test_what_is_malformed_is_400_and_named() -> None:
    answer = GATEWAY.refuse(malformed_problem(Malformed("payload.summary", "is missing or blank")))
    assert answer.status_code == 400
    assert orjson.loads(bytes(answer.body)) == {
        "status": "invalid event",
        "message": "Event object is invalid",
        "errors": ["payload.summary: is missing or blank"],
    }


@pytest.mark.parametrize("field", ["routing_key", "service_key"])
def test_an_unknown_key_is_an_invalid_event(field: str) -> None:
    answer = GATEWAY.refuse(unauthorised(key_in_body(field).hint))
    assert answer.status_code == 400
    assert orjson.loads(bytes(answer.body))["errors"][0].startswith(f"{field}: is not an")


def test_each_version_has_its_own_way_to_say_too_many() -> None:
    problem = Problem(429, "Too many", "slow down", {"Retry-After": "2"})
    assert GATEWAY.busy == 429
    assert VERSION_2.refuse is CHANGES.refuse is None
    two, one = GATEWAY.refuse(problem), VERSION_1.refuse
    assert one is not None
    assert (two.status_code, one(problem).status_code) == (429, 403)
    assert two.headers["Retry-After"] == one(problem).headers["Retry-After"] == "2"
    assert two.body == b""


def test_what_may_be_sent_again_is_5xx() -> None:
    answer = GATEWAY.refuse(Problem(503, "Overloaded", "send it again", {"Retry-After": "2"}))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")


@pytest.mark.parametrize("body", [b"{}", b'{"routing_key": 7}', b'{"routing_key": null}'])
def test_a_body_without_a_key_has_none(body: bytes) -> None:
    find = VERSION_2.authentication.in_body
    assert find is not None
    assert find(body) is None


@pytest.mark.parametrize("body", [b"", b"[]", b"nonsense", b'"text"', b"{"])
def test_what_is_no_object_is_malformed_rather_than_unknown(body: bytes) -> None:
    find = VERSION_2.authentication.in_body
    assert find is not None
    with pytest.raises(Malformed) as caught:
        find(body)
    assert caught.value.field == "body"
