"""Variables of the environment. A secret may be in a file instead, as orchestrators mount it:
`NAME_FILE` is the file's path.
"""

from collections.abc import Mapping
from pathlib import Path

_MAX_BYTES = 64 * 1024


class SecretFileError(Exception):
    """A secret cannot be taken from its file; the text begins with the variable's name."""


def is_set(environment: Mapping[str, str], name: str) -> bool:
    """Whether there is a value, or a file for it."""
    return name in environment or bool(environment.get(f"{name}_FILE"))


def value_of(environment: Mapping[str, str], name: str) -> str | None:
    """The value of `name`, or what is in the file of `NAME_FILE` without the line breaks at its
    end; None when neither is set. Raises SecretFileError, which never holds the secret.
    """
    variable = f"{name}_FILE"
    file = environment.get(variable)
    if not file:
        return environment.get(name)
    if name in environment:
        raise SecretFileError(f"{variable}: {name} is set too; unset one of them")
    try:
        return _read(Path(file))
    except OSError as error:
        reason = f"the file {file} cannot be read ({error.strerror})"
    except ValueError as error:
        reason = f"the file {file} {error}"
    raise SecretFileError(f"{variable}: {reason}")


def _read(file: Path) -> str:
    if file.exists() and not file.is_file():  # a pipe would never end
        raise ValueError("is not a regular file")
    with file.open("rb") as opened:
        content = opened.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ValueError(f"has more than {_MAX_BYTES} bytes")
    try:
        secret = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    if not secret.strip():
        raise ValueError("is empty")
    return secret
