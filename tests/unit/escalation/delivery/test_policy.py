"""teams.yaml: what `policy check` refuses, and in which words."""

from collections.abc import Callable
from pathlib import Path

import pytest

from services.escalation.delivery.policy import check
from tests.unit.escalation.builders import TEAMS

EXAMPLE = Path(__file__).parents[4] / "deploy" / "local" / "policy"


@pytest.fixture
def errors_of(tmp_path: Path) -> Callable[[str, str], list[str]]:
    """The errors after one edit of a good file, without their lines."""

    def after(old: str, new: str) -> list[str]:
        assert old in TEAMS
        (tmp_path / "teams.yaml").write_text(TEAMS.replace(old, new, 1))
        return [str(error).split(": ", 1)[1] for error in check(tmp_path)]

    return after


def test_the_example_of_the_local_stack_is_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_INBOX_URL", "http://127.0.0.1:8025")
    monkeypatch.setenv("TOCSIN_CANARY_URL", "http://127.0.0.1:8026")
    monkeypatch.setenv("TOCSIN_ALLOWED_NETWORKS", "127.0.0.0/8, ::1/128")
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
            "`schedules.payments-primary.handoff`: "
            'write a handoff as "09:00" (daily) or "Tue 09:00" (weekly)',
        ),
        (
            "time_zone: Europe/Berlin",
            "time_zone: Europe/Berln",
            "`schedules.payments-primary.time_zone`: "
            "no time zone of this name, did you mean `Europe/Berlin`?",
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
            "methods: [email, webhook]",
            "methods: [email, webhok]",
            "there is no method `webhok`; did you mean `webhook`?",
        ),
        (
            "methods: [email, webhook]",
            "methods: [email, pigeon]",
            "there is no method `pigeon`; known are email, webhook",
        ),
        (
            "email: cleo@example.com",
            "e_mail: cleo@example.com",
            "unknown key `e_mail`; did you mean `email`?",
        ),
        (
            "email: cleo@example.com",
            "email: cleo@example.com, metods: [email]",
            "unknown key `metods`; did you mean `methods`?",
        ),
        (", email: cleo@example.com", "", "user `cleo` has no address; add one of email, webhook"),
        (
            "email: cleo@example.com",
            "email: clé@example.com",
            "`users.cleo.email`: before the @ of a mail address only ASCII characters can be used",
        ),
        (
            "email: cleo@example.com",
            "email: [cleo@example.com]",
            "`users.cleo.email`: a text is expected here",
        ),
        (
            "  cleo: {",
            "  cleo@home: {",
            "`users.cleo@home`: a name has letters, digits, - and _, at most 63",
        ),
    ],
)
def test_what_would_reach_nobody_is_refused_with_a_hint(
    errors_of: Callable[[str, str], list[str]], old: str, new: str, error: str
) -> None:
    assert error in errors_of(old, new)


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "127.0.0.1",
        "[::ffff:169.254.169.254]",
        "[fe80::1]",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "localhost",
        "192.0.0.170",
        "[64:ff9b:1::a00:1]",
        "[::ffff:0:10.0.0.1]",
        "[fec0::1]",
        "[2002:a00:1::1]",
    ],
)
def test_a_webhook_in_a_private_network_is_refused_unless_the_environment_permits_it(
    errors_of: Callable[[str, str], list[str]], monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    url = f"http://{host}/page"
    monkeypatch.delenv("TOCSIN_ALLOWED_NETWORKS", raising=False)
    assert errors_of("https://hooks.example.com/ana", url) == [
        "`users.ana.webhook`: the address is in a private network that TOCSIN_ALLOWED_NETWORKS "
        "does not permit"
    ]
    monkeypatch.setenv("TOCSIN_ALLOWED_NETWORKS", "0.0.0.0/0, ::/0")
    assert errors_of("https://hooks.example.com/ana", url) == []


def test_wrong_networks_in_the_environment_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOCSIN_ALLOWED_NETWORKS", "10.0.0.1/8")
    (error,) = check(tmp_path)
    assert error.message == "TOCSIN_ALLOWED_NETWORKS: 10.0.0.1/8 has host bits set"


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com/services/T02ABCDEF/B03GHIJKL/a1b2c3d4e5f6a7b8c9d0e1f2",
        "https://hooks.example.com/page?token=hush",
        "https://hooks.example.com/7f1c2d3e-4b5a-6978-8899-aabbccddeeff",
    ],
)
def test_a_literal_token_in_an_address_is_refused_and_not_repeated(
    errors_of: Callable[[str, str], list[str]], url: str
) -> None:
    (error,) = errors_of("https://hooks.example.com/ana", url)
    assert "literal token" in error
    assert url.rpartition("/")[2] not in error


def test_a_token_from_the_environment_is_taken(
    errors_of: Callable[[str, str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOCSIN_HOOK", "a1b2c3d4e5f6a7b8c9d0e1f2")
    for url in ("https://hooks.example.com/${TOCSIN_HOOK}", "https://hooks.example.com/tocsin"):
        assert errors_of("https://hooks.example.com/ana", url) == []
