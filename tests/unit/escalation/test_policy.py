"""teams.yaml: what it refuses, and in which words."""

from pathlib import Path

import pytest

from services.escalation.policies.policy import check, read_teams
from shared.policy.files import InvalidPolicy
from tests.unit.escalation.builders import TEAMS, teams

EXAMPLE = Path(__file__).parents[3] / "deploy" / "local" / "policy"


def errors_of(old: str, new: str) -> list[str]:
    """The errors after one edit of a good file, without their lines."""
    assert old in TEAMS
    with pytest.raises(InvalidPolicy) as caught:
        read_teams(TEAMS.replace(old, new, 1).encode())
    return [str(error).split(": ", 1)[1] for error in caught.value.errors]


def test_the_example_of_the_local_stack_is_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_INBOX_URL", "http://127.0.0.1:8025")
    monkeypatch.setenv("TOCSIN_CANARY_URL", "http://127.0.0.1:8026")
    assert check(EXAMPLE) == []


def test_an_error_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "teams.yaml").write_text(
        TEAMS.replace("users: [ana, ben]", "users:\n      - ana\n      - bne")
    )
    line = TEAMS.splitlines().index("    users: [ana, ben]") + 3
    assert [str(error) for error in check(tmp_path)] == [
        f"teams.yaml:{line}: there is no user `bne`; did you mean `ben`?"
    ]


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    assert [error.message for error in check(tmp_path)] == [
        "the file cannot be read: No such file or directory"
    ]


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("user:ben", "user:bne", "there is no user `bne`; did you mean `ben`?"),
        (
            "schedule:search-days",
            "schedule:nights",
            "there is no schedule `nights`; known are payments-primary, search-days",
        ),
        (
            "{policy: payments}",
            "{policy: payment}",
            "there is no policy `payment`; did you mean `payments`?",
        ),
        (
            "default_policy: payments",
            "default_policy: none",
            "there is no policy `none`; known are ghosts, mornings, payments, weekdays",
        ),
        (
            'targets: ["user:ben", "user:cleo"]',
            "targets: [ben]",
            "`policies.payments.steps.1.targets.0`: write a target as user:NAME or schedule:NAME",
        ),
        (
            'targets: ["schedule:payments-primary"]',
            "targets: []",
            "`policies.payments.steps.0.targets`: at least one item is needed",
        ),
        (
            "wait: 15m",
            "wait: 0s",
            "`policies.payments.steps.0.wait`: must be greater than or equal to 1 second",
        ),
        (
            "handoff: Tue 09:00",
            "handoff: 09:00",
            'a weekly handoff needs its weekday; write "Tue 09:00"',
        ),
        ('handoff: "09:00"', "handoff: Tue 09:00", 'a daily handoff has no weekday; write "09:00"'),
        (
            "handoff: Tue 09:00",
            "handoff: Thu 09:00",
            "2024-10-01 is a Tuesday, not the day of the handoff; write 2024-10-03",
        ),
        (
            "handoff: Tue 09:00",
            "handoff: Tues 9",
            '`schedules.payments-primary.handoff`: write a handoff as "09:00" (daily) or "Tue 09:00" (weekly)',
        ),
        (
            "time_zone: Europe/Berlin",
            "time_zone: Europe/Berln",
            "`schedules.payments-primary.time_zone`: no time zone of this name, did you mean `Europe/Berlin`?",
        ),
        (
            'from: "09:00", to: "17:00", weekdays',
            'from: "9", to: "17:00", weekdays',
            '`schedules.search-days.hours.from`: write a time of day as "09:00"',
        ),
        (
            "users: [ana, ben]",
            "users: []",
            "`schedules.payments-primary.users`: at least one item is needed",
        ),
        (
            "email: cleo@example.com",
            "email: cleo",
            "`users.cleo.email`: write one mail address, name@host",
        ),
        (
            "email: cleo@example.com",
            "email: cleo@example.com, methods: [webhook]",
            "user `cleo` has no `webhook`; add its address",
        ),
        (
            "  cleo: {",
            "  cleo@home: {",
            "`users.cleo@home`: a name has letters, digits, - and _, at most 63",
        ),
    ],
)
def test_what_would_reach_nobody_is_refused_with_the_mend(old: str, new: str, error: str) -> None:
    assert error in errors_of(old, new)


@pytest.mark.parametrize("address", ["ftp://x/hush", "https:///hush", "https://me:hush@x/", "hush"])
def test_a_wrong_address_is_refused_without_being_repeated(address: str) -> None:
    (error,) = errors_of("https://hooks.example.com/ana", address)
    assert (
        error
        == "`users.ana.webhook`: an address is http:// or https:// with a host, and holds no user name"
    )


def test_the_network_policy_has_its_say_about_addresses() -> None:
    with pytest.raises(InvalidPolicy, match="the webhook of `ana` is not permitted"):
        read_teams(TEAMS.encode(), lambda url: "is not permitted" if url.endswith("ana") else None)


def test_addresses_are_not_shown_with_the_user() -> None:
    assert "example.com" not in repr(teams().content.users["ana"])


def test_methods_default_to_what_the_user_has() -> None:
    users = teams().content.users
    assert users["ana"].methods == ("webhook", "email")
    assert users["ben"].methods == ("email", "webhook")
    assert users["cleo"].methods == ("email",)
