"""`tocsin up` as a newcomer meets it: start it, send a signal, read the page, lose the supervisor, start it again."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.process import birth
from tests.support.local_stack import Stack, own_stack
from tests.support.stack import until


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with own_stack(tmp_path) as stack:
        yield stack


def test_a_newcomer_gets_a_page_and_keeps_it_when_the_supervisor_is_killed(stack: Stack) -> None:
    said = stack.tocsin("up", "--detach")
    assert all(stack.variables[name] in said for name in ("TOCSIN_CONSOLE_URL", "TOCSIN_INTEGRATION_KEY"))
    assert "not" not in stack.tocsin("status")

    stack.send_first_signal()
    until(lambda: bool(stack.read_inbox()))
    page = stack.read_inbox()[0]
    assert (page["to"], page["signature"]) == ("/pages/ana", "valid")
    assert "checkout answers 500" in page["subject"]

    before, pids = stack.variables, stack.pids
    assert len(pids) == 8
    os.kill(pids["supervisor"], 9)
    if sys.platform == "linux":
        until(lambda: not any(birth(pid) for pid in pids.values()))

    stack.tocsin("up", "--detach")
    assert stack.variables == before
    until(lambda: "checkout answers 500" in stack.tocsin("incidents", "list"))
    assert stack.tocsin("intake", "keys", "list").count("tocsin_") == 1
    assert "was up already" in stack.tocsin("up")

    pids = stack.pids
    assert "stopped" in stack.tocsin("down")
    assert not any(birth(pid) for pid in pids.values())
