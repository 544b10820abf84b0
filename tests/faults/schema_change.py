"""Releases of Tocsin that change a column of triage step by step: `triage` becomes `decision`. Each
is a copy of this checkout with other SQL and one more migration.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.version import THIS, Version

_TRIAGE = Path("services") / "triage"
_EXPAND = "ALTER TABLE incidents ADD COLUMN decision jsonb;\n"
_LEAVE = """\
-- The release before writes both columns and reads the new one.
-- squawk-ignore ban-drop-not-null
ALTER TABLE incidents ALTER COLUMN triage DROP NOT NULL;
"""
_CONTRACT = """\
-- The release before neither reads nor writes it.
-- squawk-ignore ban-drop-column
ALTER TABLE incidents DROP COLUMN triage;
"""
FILL = """
    UPDATE triage.incidents SET decision = triage WHERE incident_id IN (
        SELECT incident_id FROM triage.incidents WHERE decision IS DISTINCT FROM triage LIMIT 20
    )
"""
"""One piece of filling the new column, once no release runs that does not know it."""


@dataclass(frozen=True, slots=True)
class Release:
    """What a release reads and writes, and the migrations that it adds to those of this checkout
    (name to text).
    """

    name: str
    reads: str
    writes: tuple[str, ...]
    migrations: Mapping[str, str]

    def unpack(self, folder: Path) -> Version:
        """Make the copy. It runs with the environment of this checkout."""
        copy = folder / self.name
        for package in ("services", "shared", "deploy"):
            shutil.copytree(THIS.folder / package, copy / package)
        for store, changes in self._changes().items():
            sql = (copy / store).read_text()
            for old, new in changes.items():
                assert old in sql, f"{store} has changed: it has no {old!r}"
                sql = sql.replace(old, new)
            (copy / store).write_text(sql)
        for file in self.files(copy):
            file.write_text(self.migrations[file.name])
        # The folder of a script is the first place where Python looks for packages.
        return Version(copy, Path(shutil.copy(THIS.tocsin, copy)))

    def files(self, copy: Path) -> list[Path]:
        """Where the added migrations are in the copy."""
        return [copy / _TRIAGE / "migrations" / name for name in self.migrations]

    def _changes(self) -> dict[Path, dict[str, str]]:
        """What is replaced in the files of this checkout."""
        values, excluded = (
            ", ".join(text.format(column) for column in self.writes)
            for text in ("triage::jsonb", "EXCLUDED.{}")
        )
        return {
            _TRIAGE / "priority" / "store.py": {
                "triage::text FROM": f"{self.reads}::text AS triage FROM",
                "triage, decided_at)": f"{', '.join(self.writes)}, decided_at)",
                "triage::jsonb, $5": f"{values}, $5",
                "EXCLUDED.triage,": f"{excluded},",
            },
            _TRIAGE / "retention" / "store.py": {"triage #>>": f"{self.reads} #>>"},
        }


_expanded = {"9001_expand.sql": _EXPAND}
_left = {**_expanded, "9002_leave.sql": _LEAVE}
RELEASES = (
    Release("expand", "triage", ("triage", "decision"), _expanded),
    Release("migrate", "decision", ("triage", "decision"), _expanded),
    Release("leave", "decision", ("decision",), _left),
    Release("contract", "decision", ("decision",), {**_left, "9003_contract.sql": _CONTRACT}),
)
"""In the order of docs/runbooks/upgrade.md; each runs beside the one before."""
