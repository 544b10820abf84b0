"""No migration blocks the service that runs beside it: squawk reads every file."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from shared.postgres.migrate import OUTSIDE
from tests.architecture.tree import ROOT, relative

_APPLIED_BEFORE = {
    "services/escalation/migrations/0002_sender.sql",
    "services/escalation/migrations/0003_backlog.sql",
    "services/escalation/migrations/0004_any_channel.sql",
    "services/reporting/migrations/0002_synthetic.sql",
    "services/reporting/migrations/0003_board.sql",
}
"""Files of version 0.1.0 that build indexes in place. Applied migrations are never edited."""
_WAIVER = re.compile(r"-- squawk-ignore(-file)?\b")
_REASON = re.compile(r"-- (?!squawk-ignore)\S+ \S+")

MIGRATIONS = sorted(
    [*ROOT.glob("services/*/migrations/*.sql"), *ROOT.glob("shared/postgres/plumbing/*.sql")]
)
EXAMPLES = {
    "an index built in place": "CREATE INDEX t_by_time ON t (at);",
    "a column that is taken away from the version before": "ALTER TABLE t DROP COLUMN old;",
    "a column with another name": "ALTER TABLE t RENAME COLUMN old TO new;",
    "a column with another type": "ALTER TABLE t ALTER COLUMN n TYPE bigint;",
    "a check of all rows under a lock": "ALTER TABLE t ADD CONSTRAINT c CHECK (n > 0);",
    "a column that writers do not know of": "ALTER TABLE t ADD COLUMN n text NOT NULL;",
}


def squawk(path: Path) -> str:
    """What squawk finds in a file; empty if nothing."""
    outside = path.read_text().startswith(OUTSIDE)
    command = [str(Path(sys.executable).with_name("squawk")), "--reporter", "gcc"]
    command += ["--no-assume-in-transaction"] if outside else []
    done = subprocess.run(
        [*command, "--config", str(ROOT / ".squawk.toml"), str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == bool(done.stdout.strip()), done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("path", MIGRATIONS, ids=relative)
def test_a_migration_blocks_nobody(path: Path) -> None:
    found = squawk(path)
    if relative(path) in _APPLIED_BEFORE:
        assert found, "it needs no exemption"
    else:
        assert found == ""


@pytest.mark.parametrize("text", EXAMPLES.values(), ids=EXAMPLES)
def test_what_blocks_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "0009_change.sql"
    file.write_text(f"{text}\n")
    assert squawk(file) != ""


def test_an_index_may_be_built_beside_the_service(tmp_path: Path) -> None:
    file = tmp_path / "0009_index.sql"
    file.write_text(
        f"{OUTSIDE}\n"
        "DROP INDEX CONCURRENTLY IF EXISTS t_by_time;\n"
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS t_by_time ON t (at);\n"
    )
    assert squawk(file) == ""


@pytest.mark.parametrize("path", MIGRATIONS, ids=relative)
def test_a_waiver_is_explained(path: Path) -> None:
    lines = path.read_text().splitlines()
    unexplained = [
        number
        for number, line in enumerate(lines, 1)
        if _WAIVER.match(line) and not (number > 1 and _REASON.match(lines[number - 2]))
    ]
    assert unexplained == [], "say in the line above why it blocks nobody"
