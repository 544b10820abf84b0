"""The local stack as a newcomer meets it, by its commands. One stack serves all tests: each has it
up first.
"""

import os
import re
import signal
import sys
from collections.abc import Iterator

import pytest

from deploy.local.process import birth
from tests.support.local_stack import Stack, own_stack
from tests.support.stack import until


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Nothing was ever started here before the first test."""
    with own_stack(tmp_path_factory.mktemp("newcomer")) as stack:
        yield stack


@pytest.fixture
def stack(machine: Stack) -> Stack:
    """It is up."""
    machine.tocsin("up", "--detach")
    return machine


def test_the_demo_brings_its_own_stack_and_tells_its_story(machine: Stack) -> None:
    assert not machine.variables

    said = machine.tocsin("demo")

    assert "expectations hold" in said
    trace = re.search(r"traceparent 00-(\w{32})-", said)
    assert trace
    assert re.search(rf"^trace +{trace[1]}", said, re.MULTILINE)
    timeline = "Deployment Reported Triaged Paged.ana 41.signals Paged.ben Acknowledged.by.ben.by.link Cleared Resolved"
    assert re.search(timeline.replace(" ", ".*"), said, re.DOTALL)
    assert re.search(r"all \d+ records in \d+ chain\(s\) hold", said)
    assert not machine.pids, "what was started for the demo is stopped again"


def test_a_newcomer_gets_a_page_and_keeps_it_when_the_supervisor_is_killed(machine: Stack) -> None:
    said = machine.tocsin("up", "--detach")
    assert all(
        machine.variables[name] in said for name in ("TOCSIN_CONSOLE_URL", "TOCSIN_INTEGRATION_KEY")
    )
    assert "not" not in machine.tocsin("status")

    machine.send_first_signal()
    until(lambda: bool(machine.read_inbox()))
    page = machine.read_inbox()[0]
    assert (page["to"], page["signature"]) == ("/pages/ana", "valid")
    assert "checkout answers 500" in page["subject"]

    before, pids = machine.variables, machine.pids
    assert len(pids) == 9
    os.kill(pids["supervisor"], signal.SIGKILL)
    if sys.platform == "linux":
        until(lambda: not any(birth(pid) for pid in pids.values()))

    machine.tocsin("up", "--detach")
    assert machine.variables == before
    until(lambda: "checkout answers 500" in machine.tocsin("incidents", "list"))
    assert machine.tocsin("intake", "keys", "list").count("tocsin_") == 1
    assert "was already running" in machine.tocsin("up")


def test_the_demo_says_what_is_not_as_it_should_be_and_plays_again_once_it_is(stack: Stack) -> None:
    before = stack.pids
    os.kill(before["escalation"], signal.SIGSTOP)
    try:
        said = stack.tocsin("demo", "--patience", "4", code=1)
    finally:
        os.kill(before["escalation"], signal.SIGCONT)
    assert "✗ ana is paged and does not respond: not within 4 s" in said
    assert "nobody was paged" in said

    assert "expectations hold" in stack.tocsin("demo")
    assert stack.pids == before, "a stack that was up stays up"
    assert all(birth(pid) for pid in before.values())


def test_a_service_is_started_anew_on_the_socket_that_it_had(stack: Stack) -> None:
    before = stack.pids

    assert "intake was restarted" in stack.tocsin("restart", "intake")
    stack.send_first_signal()

    after = stack.pids
    assert after.pop("intake") != before.pop("intake")
    assert after == before
    assert "there is no kafka" in stack.tocsin("restart", "intake", "kafka", code=1)


def test_down_stops_all_of_it(stack: Stack) -> None:
    pids = stack.pids
    assert "stopped" in stack.tocsin("down")
    assert not any(birth(pid) for pid in pids.values())
