"""Settings of an integration: what they add, and names that cannot be mistaken for another's."""

import pytest
from pydantic import ValidationError

from services.intake.integrations.domain import Integration, Settings, check_name


@pytest.mark.parametrize("name", ["topic", "two words", "", "x" * 64, "a\nb", "-x", "é"])
def test_a_name_that_could_be_another_senders_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="a name has letters"):
        check_name(name)


def test_what_is_added_to_signals() -> None:
    sender = Integration(name="eu", labels={"cluster": "eu-1"}, environment="prod", team="web")
    assert sender.added == {"cluster": "eu-1", "environment": "prod", "team": "web"}
    assert Integration(name="plain").added == {}


@pytest.mark.parametrize(
    "given",
    [
        {"rate": 0},
        {"burst": 0},
        {"labels": {"a": "\n"}},
        {"labels": {"": "a"}},
        {"labels": {f"l{n}": "a" for n in range(33)}},
        {"expire_after": "1s"},
        {"sends_resolved": "on"},
        {"grouping": {"max_size": 0}},
        {"rats": 1},
    ],
)
def test_a_setting_out_of_bounds_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate(given)
