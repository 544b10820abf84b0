"""The choice of a baseline on the command line."""

from pathlib import Path

import pytest

from tests.bench.baseline import Baseline, NoBaseline, install
from tests.bench.options import options
from tests.support.version import Version


@pytest.mark.parametrize("commit", ["no-such-commit", "0123456789abcdef", "--all", ""])
def test_an_unknown_commit_is_named_in_one_line(commit: str, tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(NoBaseline) as error:
        install(commit, said.append, tmp_path)
    assert str(error.value) == f"this repository has no commit `{commit}`"
    assert not said
    assert not list(tmp_path.iterdir()), "nothing is left behind"


def test_a_baseline_is_named_after_its_commit() -> None:
    version = Version(Path("folder"), Path("folder/tocsin"))
    assert Baseline("7bf9c2aa9f7b8cea7531", version).name == "tocsin 7bf9c2a"


@pytest.mark.parametrize("other", ["--profile", "--growth"])
def test_only_rounds_are_compared(other: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options(["--against", "7bf9c2a", other])
    assert "--against compares rounds" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "rounds"),
    [
        ("", 3),
        ("--quick", 1),
        ("--quick --rounds 2", 2),
        ("--against 7bf9c2a", 4),
        ("--against 7bf9c2a --quick", 2),
        ("--against 7bf9c2a --rounds 6", 6),
    ],
)
def test_each_version_begins_half_of_the_rounds(arguments: str, rounds: int) -> None:
    assert options(arguments.split()).rounds == rounds
