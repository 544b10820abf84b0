"""No migration blocks the service that runs beside it: squawk reads every file."""

from pathlib import Path

import pytest

from shared.postgres.migrate import OUTSIDE
from tests.architecture.tree import ROOT, relative
from tests.support.squawk import squawk, unexplained_waivers

_APPLIED_BEFORE = {
    "services/escalation/migrations/0002_sender.sql",
    "services/escalation/migrations/0003_backlog.sql",
    "services/escalation/migrations/0004_any_channel.sql",
    "services/reporting/migrations/0002_synthetic.sql",
    "services/reporting/migrations/0003_board.sql",
}
"""Files of version 0.1.0 that build indexes in place. Applied migrations are never edited."""
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
    assert unexplained_waivers(path) == [], "say in the line above why it blocks nobody"
