"""A command that is refused says why in one line, without a traceback."""

import pytest
import typer

from shared.runtime.commands import refused, refused_on


def test_the_reason_is_one_line_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    left = refused("no \x1b[31msuch\nkey")
    assert isinstance(left, typer.Exit)
    assert left.exit_code == 1
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "tocsin: no  [31msuch key\n")


def test_an_error_that_is_expected_refuses_and_others_pass(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(typer.Exit), refused_on(ValueError, KeyError):
        raise ValueError("is no number")
    assert capsys.readouterr().err == "tocsin: is no number\n"
    with pytest.raises(OSError, match="away"), refused_on(ValueError):
        raise OSError("away")
