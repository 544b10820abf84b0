"""Tables and other views of a command: as wide as the terminal, or whole lines for a program."""

import io

import typer
from rich.console import Console, RenderableType

_PIPED_WIDTH = 10_000


def print_view(view: RenderableType) -> None:
    """Print a view. Into a pipe or file no line is folded, and none ends with blanks, so that each
    row is one line that other programs can read.
    """
    terminal = Console()
    if terminal.is_terminal:
        terminal.print(view)
        return
    lines = io.StringIO()
    Console(file=lines, width=_PIPED_WIDTH, color_system=None).print(view)
    for line in lines.getvalue().splitlines():
        typer.echo(line.rstrip())
