"""Views of commands: as wide as the terminal, or whole lines in a pipe."""

import pytest
from rich.table import Table

from shared.runtime.printing import print_view


def test_in_a_pipe_no_line_is_folded_and_none_ends_with_blanks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_row("INC-1", "x" * 300)
    table.add_row("INC-1000", "short")
    print_view(table)
    assert capsys.readouterr().out.splitlines() == [f"INC-1     {'x' * 300}", "INC-1000  short"]


def test_in_a_terminal_lines_fit_its_width(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes the output for a terminal
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_row("INC-1", "x" * 300)
    print_view(table)
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 40
