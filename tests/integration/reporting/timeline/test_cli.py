"""`tocsin incidents`: what a person reads in a terminal, and a program in a pipe."""

import asyncio
import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner, Result

from services.reporting.cli import incidents
from tests.support.feeding import Feed, whole_response
from tests.support.outage import GROUP, Outage
from tests.support.reading import ApiReader

HOSTILE = "down [bold]\x1b[31mred\x9b2J\u202eback"


@pytest.fixture(autouse=True)
def address(reader: ApiReader, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands ask the reporting of this test."""
    monkeypatch.setenv("TOCSIN_CONSOLE_URL", reader.address)
    monkeypatch.setenv("COLUMNS", "80")


async def run(*arguments: str) -> Result:
    """A command; it has an event loop of its own."""
    return await asyncio.to_thread(CliRunner().invoke, incidents, list(arguments))


async def test_the_command_line_lists_and_shows(feed: Feed) -> None:
    await feed.events(*whole_response(Outage())[:-2])
    assert "INC-1042" in (await run("list")).stdout
    shown = (await run("show", "INC-1042")).stdout
    assert "Acknowledged by Ben by link" in shown
    assert "on call" in shown
    as_json = json.loads((await run("show", "INC-1042", "--json")).stdout)
    assert as_json["acknowledged_by"] == "Ben"


async def test_an_incident_of_many_alerts_names_some_and_counts_all(feed: Feed) -> None:
    outage = Outage(alerts=GROUP)
    await feed.events(*whole_response(outage)[:1])
    shown = (await run("show", "INC-1042")).stdout
    assert "800 alerts and 5 that its sender did not list, 3 of them:" in shown
    assert "firing    disk full on web-2" in shown
    assert "acknowledged at source by  cleo" in shown
    assert "It began often lately" in shown
    as_json = json.loads((await run("show", "INC-1042", "--json")).stdout)
    counts = ("alerts_total", "alerts_unlisted", "flapping")
    assert [as_json[name] for name in counts] == [800, 5, True]
    assert len(as_json["alerts"]) == 3


@pytest.mark.parametrize("reference", ["INC-1042", "inc-1042", "1042", " INC-1042 ", "uuid"])
async def test_an_incident_is_found_by_any_of_its_names(feed: Feed, reference: str) -> None:
    outage = Outage()
    await feed.events(*whole_response(outage)[:1])
    shown = await run("show", str(outage.incident_id) if reference == "uuid" else reference)
    assert "INC-1042 checkout answers 5xx" in shown.stdout


@pytest.mark.parametrize(
    ("reference", "refusal"),
    [
        ("INC-7", "there is no incident INC-7"),
        ("INC-x", "is neither a number such as INC-1042 nor a UUID"),
        ("../metrics", "is neither a number such as INC-1042 nor a UUID"),
    ],
)
async def test_what_is_no_incident_is_refused_in_one_line(reference: str, refusal: str) -> None:
    refused = await run("show", reference)
    assert (refused.exit_code, refused.stderr) == (1, f"tocsin: {refusal}\n")


async def test_a_list_in_a_pipe_has_one_line_per_incident(feed: Feed) -> None:
    long = "checkout answers 5xx " * 40
    for number in (1042, 1043):
        await feed.events(Outage(number=number, summary=long.strip(), team="t" * 90).reported())
    lines = (await run("list")).stdout.splitlines()
    assert len(lines) == 3
    for line in lines[1:]:
        assert line.startswith("INC-10")
        assert line.endswith(long.strip())


async def test_an_incident_in_a_pipe_folds_nothing(feed: Feed) -> None:
    outage = Outage(summary="s" * 200)
    await feed.events(*whole_response(outage))
    lines = (await run("show", "1042")).stdout.splitlines()
    assert any(line.endswith(f"Reported: {outage.summary}") for line in lines)
    assert [line for line in lines if line != line.rstrip()] == []


async def test_text_of_a_sender_neither_styles_nor_steers_a_terminal(feed: Feed) -> None:
    outage = Outage(summary=HOSTILE, team=HOSTILE)
    await feed.events(*whole_response(outage))
    for arguments in (("list", "--status", "all"), ("show", "1042")):
        printed = (await run(*arguments)).stdout
        assert "down [bold] [31mred 2J back" in printed
        assert not set("\x1b\x9b\u202e") & set(printed)


async def test_json_escapes_what_does_not_print(feed: Feed) -> None:
    await feed.events(*whole_response(Outage(summary=HOSTILE)))
    for arguments in (("list", "--status", "all", "--json"), ("show", "1042", "--json")):
        printed = (await run(*arguments)).stdout
        assert not set("\x1b\x9b\u202e") & set(printed)
        answer = json.loads(printed)
        assert (answer.get("incidents", [answer]))[0]["summary"] == HOSTILE


async def test_show_gives_the_reasons_of_the_priority_and_why_a_step_reached_nobody(
    feed: Feed,
) -> None:
    outage = Outage()
    events = whole_response(outage)[:3]
    escalated = outage.escalated(1, 2, "ben")
    nobody = {"paged": [], "skipped": ["schedule network: nobody is on call"]}
    await feed.events(*events, replace(escalated, data=escalated.data.model_copy(update=nobody)))
    shown = (await run("show", "1042")).stdout
    assert "severity critical: urgency high" in shown
    lines = [line.strip() for line in shown.splitlines()]
    step = next(n for n, line in enumerate(lines) if line.endswith("Step 2: nobody"))
    assert lines[step + 1] == "skipped: schedule network: nobody is on call"


async def test_all_means_all_and_a_wrong_status_names_those_that_there_are(feed: Feed) -> None:
    await feed.events(*whole_response(Outage()), Outage(number=1043).reported())
    assert "INC-1042" not in (await run("list")).stdout
    listed = (await run("list", "--status", "all")).stdout
    assert "INC-1042" in listed
    assert "INC-1043" in listed
    wrong = await run("list", "--status", "asleep")
    assert wrong.exit_code == 2
    for value in ("open", "reported", "triggered", "acknowledged", "resolved", "all"):
        assert value in wrong.stderr


async def test_an_empty_list_says_so() -> None:
    assert (await run("list", "--team", "nobody")).stdout == "no incidents\n"
