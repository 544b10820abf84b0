"""integrations.yaml: what it says, and what it refuses with which words."""

from datetime import timedelta
from pathlib import Path

import pytest

from services.intake.cli import check_integrations
from services.intake.integrations.domain import Grouping, Settings
from services.intake.integrations.policy import read_integrations

EXAMPLE = Path(__file__).parents[4] / "deploy" / "local" / "policy"


def test_all_that_can_be_said() -> None:
    text = """\
integrations:
  alertmanager-eu:
    gateway: alertmanager
    grouping: {by: [cluster, alertname], window: 10m, max_size: 500}
    team: web
    labels: {cluster: eu-1}
    environment: production
    sends_resolved: false
    expire_after: 6h
    rate: 50
    burst: 200
"""
    (settings,) = read_integrations(text.encode()).content.integrations.values()
    assert settings == Settings(
        gateway="alertmanager",
        grouping=Grouping(by=("cluster", "alertname"), window=timedelta(minutes=10), max_size=500),
        team="web",
        labels={"cluster": "eu-1"},
        environment="production",
        sends_resolved=False,
        expire_after=timedelta(hours=6),
        rate=50,
        burst=200,
    )


def test_what_is_stored_is_read_again() -> None:
    settings = Settings(
        grouping=Grouping(by=("a",), window=timedelta(hours=1)), expire_after=timedelta(days=1)
    )
    stored = settings.model_dump(mode="json", exclude_defaults=True)
    assert Settings.model_validate(stored) == settings


def test_the_file_may_be_missing_and_the_example_is_good(tmp_path: Path) -> None:
    assert check_integrations(tmp_path) == []
    assert check_integrations(EXAMPLE) == []


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("gatewya: alertmanager", "unknown key `gatewya`; did you mean `gateway`?"),
        (
            "gateway: alertmanger",
            "there is no gateway `alertmanger` in this installation; did you mean `alertmanager`?",
        ),
        ("team: wbe", "there is no team `wbe` in teams.yaml; did you mean `web`?"),
        ("rate: fast", "`integrations.eu.rate`: must be a number"),
        ("expire_after: 90", "write a duration as a number with its unit: 15s, 2m, 1h or 7d"),
        ("sends_resolved: sometimes", "write true or false"),
    ],
)
def test_a_slip_is_refused_with_its_line_and_the_mend(
    tmp_path: Path, line: str, error: str
) -> None:
    (tmp_path / "teams.yaml").write_text("teams: {web: {policy: web}}\n")
    (tmp_path / "integrations.yaml").write_text(f"integrations:\n  eu:\n    {line}\n")
    (found,) = check_integrations(tmp_path)
    assert str(found).startswith("integrations.yaml:3: ")
    assert error in str(found)


def test_a_name_that_could_be_another_senders_is_refused(tmp_path: Path) -> None:
    (tmp_path / "integrations.yaml").write_text("integrations:\n  topic: {}\n")
    (found,) = check_integrations(tmp_path)
    assert "a name has letters" in str(found)
