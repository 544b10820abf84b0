"""Subjects as the programs write them: the mail that ends an alert has the key of the one that
reported it.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.intake.mail.domain.subjects import read_subject

ZABBIX = "Problem name: High CPU\r\nHost: db1\r\nSeverity: High\r\nOriginal problem ID: 4711\r\n"


@pytest.mark.parametrize(
    ("begun", "ended", "severity"),
    [
        (
            "** PROBLEM Service Alert: web1/HTTP is CRITICAL **",
            "** RECOVERY Service Alert: web1/HTTP is OK **",
            "critical",
        ),
        (
            "** PROBLEM Service Alert: web1/HTTP is WARNING **",
            "** RECOVERY Service Alert: web1/HTTP is OK **",
            "warning",
        ),
        (
            "** PROBLEM Host Alert: web1 is DOWN **",
            "** RECOVERY Host Alert: web1 is UP **",
            "critical",
        ),
        ("[PROBLEM] disk on db1 is CRITICAL!", "[RECOVERY] disk on db1 is OK!", "critical"),
        ("[PROBLEM] db1 is DOWN!", "[RECOVERY] db1 is UP!", "critical"),
        ("[FIRING:2] Down checkout (critical)", "[RESOLVED] Down checkout (critical eu)", None),
        ("[FIRING:1] Down ", "[RESOLVED] Down", None),
        ('ALARM: "cpu high" in EU (Ireland)', 'OK: "cpu high" in EU (Ireland)', None),
        (
            'ALARM: "cpu high" in EU (Ireland)',
            'INSUFFICIENT_DATA: "cpu high" in EU (Ireland)',
            None,
        ),
        ("[ALERT] queue is long", "[OK] queue is long", None),
        ("ALERT: queue is long [3]", "RESOLVED: queue is long", None),
        ("checkout is down", "checkout is up", None),
        ("checkout is DOWN!", "checkout has recovered.", None),
        ("checkout [DOWN]", "checkout [UP]", None),
        ("backup: failed", "backup: ok", None),
        ("Alarm: disk full for 5 minutes", "Recovered: disk full after 1 h 3 min", None),
        ("Re: [ALERT] queue is long", "FW: AW: [RESOLVED] queue is long", None),
    ],
)
def test_the_end_has_the_key_of_the_beginning(begun: str, ended: str, severity: str | None) -> None:
    one, other = read_subject(begun), read_subject(ended)
    assert (one.status, other.status) == ("firing", "resolved")
    assert one.key == other.key
    assert one.severity == severity


def test_zabbix_tells_the_number_of_the_problem_in_the_text() -> None:
    begun = read_subject("Problem: High CPU", ZABBIX)
    updated = read_subject("Updated problem in 3m 4s: High CPU", ZABBIX)
    ended = read_subject("Resolved in 5m 0s: High CPU", ZABBIX)
    assert [one.status for one in (begun, updated, ended)] == ["firing", "firing", "resolved"]
    assert {one.key for one in (begun, updated, ended)} == {"problem 4711"}
    assert (begun.severity, begun.labels) == ("High", {"host": "db1"})


def test_an_acknowledgement_is_told_apart() -> None:
    nagios = read_subject("** ACKNOWLEDGEMENT Service Alert: web1/HTTP is CRITICAL **")
    icinga = read_subject("[ACKNOWLEDGEMENT] disk on db1 is WARNING!")
    assert (nagios.status, nagios.key) == ("acknowledged", "web1/HTTP")
    assert (icinga.status, icinga.key) == ("acknowledged", "db1!disk")
    assert nagios.labels == {"host": "web1", "check": "HTTP"}


def test_cron_never_ends() -> None:
    cron = read_subject("Cron <root@db1> /usr/local/bin/backup --all")
    assert (cron.status, cron.labels) == ("firing", {"host": "db1", "user": "root"})
    assert cron.key == "Cron <root@db1> /usr/local/bin/backup --all"


@pytest.mark.parametrize(
    "subject",
    [
        "server is backing up",
        "cleaning up",
        "all is not ok",
        "we closed",
        "disk 1 is full",
        "Problem with the printer",
        "the lift is stuck",
        "",
    ],
)
def test_what_is_no_end_is_none(subject: str) -> None:
    assert read_subject(subject).status == "firing"


def test_what_differs_is_not_one() -> None:
    keys = {read_subject(f"disk {number} is full").key for number in (1, 2)}
    assert len(keys) == 2


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["** ", "[FIRING:", "Resolved in ", "5m ", ": ", " is ", "OK", "] ", " (", "re:", "a"]
        )
        | st.text(max_size=3),
        max_size=40,
    ).map("".join)
)
def test_every_subject_is_read(subject: str) -> None:
    assert read_subject(subject).status in ("firing", "acknowledged", "resolved")


@pytest.mark.parametrize("part", ["re:", "is ", "[(", " in 1 h", "** a is ", "x is ok ", "((1)"])
def test_a_long_subject_costs_little(part: str) -> None:
    """2,000 characters; were it more than linear, this would take minutes."""
    read_subject((part * 2000)[:2000])
