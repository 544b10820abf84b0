"""A secret in a file: taken but for line breaks at its end, or refused by name, unrepeated."""

import os
from pathlib import Path

import pytest

from shared.runtime.variables import SecretFileError, is_set, value_of

NAME = "TOCSIN_API_TOKEN"


@pytest.mark.parametrize(
    ("content", "secret"),
    [(b"hush", "hush"), (b"hush\n", "hush"), (b"hush\r\n\n", "hush"), (b" h\nush \n", " h\nush ")],
)
def test_the_secret_is_what_is_in_the_file(tmp_path: Path, content: bytes, secret: str) -> None:
    (tmp_path / "token").write_bytes(content)
    (tmp_path / "..data").symlink_to("token")  # as Kubernetes mounts it
    environment = {f"{NAME}_FILE": str(tmp_path / "..data")}
    assert is_set(environment, NAME)
    assert value_of(environment, NAME) == secret


def test_a_variable_without_a_file_is_as_it_is() -> None:
    for environment in ({NAME: "hush"}, {NAME: "hush", f"{NAME}_FILE": ""}):
        assert value_of(environment, NAME) == "hush"
    assert value_of({}, NAME) is None
    assert not is_set({f"{NAME}_FILE": ""}, NAME)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"  \n", "is empty"),
        (b"hush\xff", "is not UTF-8"),
        (b"hush" * 20_000, "has more than 65536 bytes"),
        (None, "cannot be read (No such file or directory)"),
    ],
)
def test_a_file_without_a_secret_is_refused_by_the_variables_name(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SecretFileError) as caught:
        value_of({f"{NAME}_FILE": str(file)}, NAME)
    assert str(caught.value) == f"{NAME}_FILE: the file {file} {reason}"


def test_what_would_block_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(SecretFileError, match="is not a regular file"):
            value_of({f"{NAME}_FILE": str(path)}, NAME)


def test_two_values_are_refused() -> None:
    with pytest.raises(SecretFileError, match=f"{NAME}_FILE: {NAME} is set too; unset one"):
        value_of({NAME: "", f"{NAME}_FILE": "/nowhere"}, NAME)
