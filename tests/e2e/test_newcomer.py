"""The local stack as a newcomer uses it, by its commands.

One stack serves all tests; each starts it first if necessary.
"""

import json
import os
import re
import signal
import sys
from collections.abc import Iterator

import pytest

from deploy.local.paths import CHECKOUT
from deploy.local.process import birth
from tests.support.local_stack import Stack, own_stack
from tests.support.stack import until


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that was never started before the first test."""
    with own_stack(tmp_path_factory.mktemp("newcomer")) as stack:
        yield stack


@pytest.fixture
def stack(machine: Stack) -> Stack:
    """The stack, running."""
    machine.tocsin("up", "--detach")
    return machine


def test_the_demo_starts_its_own_stack_and_prints_its_timeline(machine: Stack) -> None:
    assert not machine.variables

    output = machine.tocsin("demo")

    assert "expectations hold" in output
    trace = re.search(r"traceparent 00-(\w{32})-", output)
    assert trace
    assert re.search(rf"^trace +{trace[1]}", output, re.MULTILINE)
    # On a busy machine repeats join after ben's page, and ben is faster than its receipt.
    timelines = (
        "Deployment Reported Triaged Paged.ana paging.ben Acknowledged.by.ben.by.link Cleared"
        " Resolved",
        "Paged.ana 41.signals Resolved",
        "paging.ben Paged.ben Resolved",
    )
    for timeline in timelines:
        assert re.search(timeline.replace(" ", ".*"), output, re.DOTALL), output
    assert re.search(r"all \d+ records in \d+ chain\(s\) hold", output)
    assert not machine.pids, "parts that were started for the demo are stopped"


def test_a_newcomer_gets_a_page_and_keeps_it_when_the_supervisor_is_killed(machine: Stack) -> None:
    output = machine.tocsin("up", "--detach")
    assert machine.variables["TOCSIN_CONSOLE_URL"] in output
    assert "Bearer $TOCSIN_INTEGRATION_KEY" in output  # only a terminal shows it
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
    assert machine.tocsin("intake", "integrations", "list").count("never expires") == 1
    assert "was already running" in machine.tocsin("up")


def test_the_demo_names_expectations_that_fail_and_passes_once_they_hold(stack: Stack) -> None:
    before = stack.pids
    os.kill(before["escalation"], signal.SIGSTOP)
    try:
        output = stack.tocsin("demo", "--patience", "4", code=1)
    finally:
        os.kill(before["escalation"], signal.SIGCONT)
    assert "✗ ana is paged and does not respond: not within 4 s" in output
    assert "nobody was paged" in output

    assert "expectations hold" in stack.tocsin("demo")
    assert stack.pids == before, "a stack that was up stays up"
    assert all(birth(pid) for pid in before.values())


def test_the_commands_of_the_readme_work(stack: Stack) -> None:
    text = (CHECKOUT / "README.md").read_text()
    first_signal, commands = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    intake = stack.variables["TOCSIN_INTAKE_URL"]
    first_signal = first_signal.replace("http://127.0.0.1:PORT", intake)
    first_signal = first_signal.replace("KEY", stack.variables["TOCSIN_INTEGRATION_KEY"])

    assert '"signals"' in stack.shell(first_signal)

    until(lambda: "checkout answers 500" in stack.tocsin("incidents", "list"))
    listed = re.search(r"INC-(\d+).*checkout answers 500", stack.tocsin("incidents", "list"))
    assert listed
    output = stack.shell(commands.replace("NUMBER", listed[1]))
    assert output.count("checkout answers 500") >= 2, "in the list, and shown by its number"
    assert re.search(r"all \d+ records in \d+ chain\(s\) hold", output)


def test_a_restarted_service_keeps_its_socket(stack: Stack) -> None:
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


def test_no_log_of_the_stack_holds_a_secret_or_a_link(stack: Stack) -> None:
    secrets = json.loads((stack.folder / "secrets.json").read_text())
    logs = [*stack.folder.glob("logs/*.log"), stack.folder / "supervisor.log"]
    assert {log.stem for log in logs} >= {"supervisor", "kafka", "postgres", "escalation", "canary"}
    for log in logs:
        text = log.read_text(errors="replace")
        assert text or log.stem in ("inbox", "supervisor")
        assert [name for name, secret in secrets.items() if secret in text] == [], log.name
        assert f"{stack.variables['TOCSIN_PUBLIC_URL']}/a/" not in text, log.name
