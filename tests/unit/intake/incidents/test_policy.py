"""intake.yaml: every key has a default, and a slip is refused."""

from datetime import timedelta
from pathlib import Path

from services.intake.incidents.policy import check, read_intake_policy
from shared.events.intake import Severity

EXAMPLE = Path(__file__).parents[4] / "deploy" / "local" / "policy"


def test_nothing_at_all_is_the_defaults_and_the_example_states_them() -> None:
    policy = read_intake_policy(b"").content
    assert policy == read_intake_policy((EXAMPLE / "intake.yaml").read_bytes()).content
    assert (policy.expiry_grace, policy.default_severity) == (timedelta(minutes=2), Severity.ERROR)


def test_the_file_may_be_missing(tmp_path: Path) -> None:
    assert check(tmp_path) == []


def test_a_slip_is_refused_with_its_line_and_the_mend(tmp_path: Path) -> None:
    (tmp_path / "intake.yaml").write_text(
        "expiry_grace: 120\ndefault_severty: error\nduplicate_window: 5m\n"
    )
    assert [str(error) for error in check(tmp_path)] == [
        "intake.yaml:1: `expiry_grace`: "
        "write a duration as a number with its unit: 15s, 2m, 1h or 7d",
        "intake.yaml:2: unknown key `default_severty`; did you mean `default_severity`?",
        "intake.yaml:3: `duplicate_window`: must be greater than or equal to 1 hour",
    ]
