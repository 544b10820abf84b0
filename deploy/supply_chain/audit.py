"""Looks every locked dependency up among known vulnerabilities: `make audit`.

pip-audit ends well when it finds a package nowhere and so has not audited it; here that fails.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy.supply_chain.locked import LOCKS, installable

_PIP_AUDIT = Path(sys.executable).with_name("pip-audit")


def problems(report: Mapping[str, Any], wanted: Sequence[str]) -> Iterator[str]:
    """What is wrong with pip-audit's report (its JSON) on these packages, a sentence each."""
    audited = {found["name"]: found for found in report["dependencies"]}
    for name in wanted:
        found = audited.get(name)
        if found is None:
            yield f"{name} was not audited: it is not in the report"
        elif "skip_reason" in found:
            yield f"{name} was not audited: {found['skip_reason']}"
        else:
            for known in found["vulns"]:
                fixed = ", ".join(known["fix_versions"]) or "no version yet"
                yield f"{name} {found['version']} has {known['id']}, fixed in {fixed}"


def main() -> None:
    """Audit every requirements file. Exit status 1 when a package has a known vulnerability or was
    not audited.
    """
    found: list[str] = []
    for lock in LOCKS:
        report = _audit(lock)
        found += [f"{lock.name}: {problem}" for problem in problems(report, installable(lock))]
    print(*found or ["no known vulnerability in any locked dependency"], sep="\n")
    sys.exit(1 if found else 0)


def _audit(lock: Path) -> dict[str, Any]:
    options = ("--require-hashes", "--disable-pip", "--format=json", "--progress-spinner=off")
    done = subprocess.run(
        [_PIP_AUDIT, f"--requirement={lock}", *options], capture_output=True, text=True, check=False
    )
    if not done.stdout.startswith("{"):  # it exits with 1 for a vulnerability and for a failure
        sys.exit(f"pip-audit failed on {lock.name}: {done.stderr.strip()[-2000:]}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


if __name__ == "__main__":
    main()
