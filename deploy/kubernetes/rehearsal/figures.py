"""What the rehearsal measured, in order."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

import typer


@dataclass
class Figures:
    """Printed as they come, and as a table of Markdown at the end."""

    rows: list[tuple[str, str]] = field(default_factory=list)

    def note(self, what: str, figure: str) -> None:
        """One figure."""
        self.rows.append((what, figure))
        typer.echo(f"{what}: {figure}")

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """The time that the block takes, if it succeeds."""
        began = monotonic()
        yield
        self.note(what, f"{monotonic() - began:.1f} s")

    def table(self) -> str:
        """All of them."""
        lines = [f"| {what} | {figure} |" for what, figure in self.rows]
        return "\n".join(["| step | figure |", "|---|---|", *lines])
