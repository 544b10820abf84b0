"""`tocsin demo` on a fresh machine, and on one where something is wrong."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.process import birth
from tests.support.local_stack import Stack, own_stack


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with own_stack(tmp_path) as stack:
        yield stack


def test_the_demo_brings_its_own_stack_and_tells_its_story(stack: Stack) -> None:
    said = stack.tocsin("demo")

    assert "All is as it should be" in said
    trace = re.search(r"traceparent 00-(\w{32})-", said)
    assert trace
    assert re.search(rf"^trace +{trace[1]}", said, re.MULTILINE)
    timeline = "Deployment Reported Triaged Paged.ana 41.signals Paged.ben Acknowledged.by.ben.by.link Cleared Resolved"
    assert re.search(timeline.replace(" ", ".*"), said, re.DOTALL)
    assert re.search(r"all \d+ records in \d+ chain\(s\) hold", said)
    assert not stack.pids, "what was started for the demo is stopped again"


def test_the_demo_says_what_is_not_as_it_should_be_and_plays_again_once_it_is(stack: Stack) -> None:
    stack.tocsin("up", "--detach")
    before = stack.pids
    os.kill(before["escalation"], signal.SIGSTOP)
    try:
        said = stack.tocsin("demo", "--patience", "2", code=1)
    finally:
        os.kill(before["escalation"], signal.SIGCONT)
    assert "✗ ana is paged, and does not answer: not within 2 s" in said
    assert "nobody was paged" in said

    assert "All is as it should be" in stack.tocsin("demo")
    assert stack.pids == before, "a stack that was up stays up"
    assert all(birth(pid) for pid in before.values())
