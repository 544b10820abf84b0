"""`tocsin intake mappings`."""

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner, Result

from services.intake.gateways.cli import commands
from services.intake.gateways.policy import shipped, shipped_text
from tests.unit.intake.gateways import senders


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mappings").mkdir()
    return tmp_path


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(commands, [*arguments, "--policy-dir", str(folder)])


def test_mappings_are_listed_with_where_they_are_from(folder: Path) -> None:
    (folder / "mappings" / "falco.yaml").write_text(shipped_text("falco"))
    listed = run(folder, "list").output
    assert all(name in listed for name in shipped().mappings)
    assert listed.count("policy folder") == 1
    assert "expires after 1 day" in listed


def test_what_is_shown_can_be_copied_and_changed(folder: Path) -> None:
    shown = run(folder, "show", "datadog").output
    assert shown == shipped_text("datadog")
    own = shown.replace("Datadog monitors", "Ours")
    (folder / "mappings" / "datadog.yaml").write_text(own)
    assert run(folder, "show", "datadog").output == own


def test_a_body_is_tried_without_being_sent(folder: Path) -> None:
    body, headers = senders.workflow("failure")
    file = folder / "body.json"
    file.write_bytes(orjson.dumps(body))
    given = [f"--header={name}: {value}" for name, value in headers.items()]
    tried = run(folder, "try", "github", str(file), *given)
    assert orjson.loads(tried.output)["key"] == "workflow/acme//shop/159038/main"
    assert "skips it" in run(folder, "try", "github", str(file)).output


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("datdog", "{}", "there is no mapping `datdog`; did you mean `datadog`?"),
        ("datadog", "{}", "body: fits no rule of the mapping `datadog`"),
        ("datadog", "{", "body: is not JSON"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(folder: Path, name: str, body: str, said: str) -> None:
    file = folder / "body.json"
    file.write_text(body)
    tried = run(folder, "try", name, str(file))
    assert tried.exit_code == 1
    assert said in tried.stderr
