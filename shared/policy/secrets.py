"""Secrets in policy files are references only: `${TOCSIN_NAME}`, filled in from the environment or
from the file that TOCSIN_NAME_FILE names.

A service's findings yield a rule for each value that holds a secret, or may hold one:

    yield must_be_reference(("users", name, "token"))
    yield no_literal_secret(("users", name, "webhook"))

`read_policy` applies it to the value as it is written in the file, before variables are filled in,
and reports a literal secret like any other finding, with its line. No message repeats the value.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from shared.policy.tree import VARIABLE, Finding, Path

_HINT = "put it into a variable whose name begins with TOCSIN_, and write ${TOCSIN_...} here"
_SECRET_PARAMETER = re.compile(
    r"(.*[-_.])?(api_?key|key|token|secret|password|passwd|pwd|auth|sig|signature|credentials?)",
    re.IGNORECASE,
)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_NUMBERED_WORD = re.compile(r"[A-Za-z]+[0-9]{1,4}|[0-9]+")
_MIN_MIXED, _MIN_LETTERS = 10, 24


@dataclass(frozen=True, slots=True)
class WrittenRule:
    """A rule about the text at `path` as it is written. `check` gets the text and says what
    is wrong with it, or None.
    """

    path: Path
    check: Callable[[str], str | None]

    def finding(self, written: Mapping[Path, str]) -> Finding | None:
        """What is wrong with the value in a file; None when it is right, or is not there."""
        text = written.get(self.path)
        message = self.check(text) if text else None
        return Finding(self.path, f"`{_name(self.path)}`: {message}", _HINT) if message else None


def must_be_reference(path: Path) -> WrittenRule:
    """The value is a secret as a whole: only `${TOCSIN_...}` may be written there."""
    return WrittenRule(path, _not_a_reference)


def no_literal_secret(path: Path) -> WrittenRule:
    """The value is an address: a user name, a password, or a token in its path, query or fragment
    must come from a reference. An address that holds no such part may be written out.
    """
    return WrittenRule(path, literal_secret_in)


def literal_secret_in(address: str) -> str | None:
    """Says which part of an address, as it is written in a policy file, is a literal secret.

    What counts as a token is a guess: a UUID, a long mix of letters and digits, a long run of
    letters, the value of a parameter such as `token`.
    """
    # A reference becomes a character that no address has, and separates what surrounds it.
    text = VARIABLE.sub("\0", address)
    try:
        parts = urlsplit(text)
    except ValueError:
        return None  # the model of the address says that it is none
    user, at, _ = parts.netloc.rpartition("@")
    if at and user.strip("\0:"):
        return "the address holds a literal user name or password"
    if any(_is_token(segment) for segment in parts.path.split("/")):
        return "the path holds what appears to be a literal token"
    for name, value in parse_qsl(parts.query.replace("+", "%2B")):
        if (_SECRET_PARAMETER.fullmatch(name) and value.strip("\0")) or _is_token(value):
            return "the query holds what appears to be a literal token"
    if _is_token(parts.query) or _is_token(parts.fragment):
        return "the address holds what appears to be a literal token"
    return None


def _not_a_reference(text: str) -> str | None:
    return None if VARIABLE.fullmatch(text) else "a secret must not be written into the file"


def _is_token(text: str) -> bool:
    text = unquote(text)
    return bool(_UUID.search(text)) or any(map(_is_random, re.split(r"[-_.~:;,=&/ \0]", text)))


def _is_random(word: str) -> bool:
    if _NUMBERED_WORD.fullmatch(word):
        return False
    digits = sum(map(str.isdigit, word))
    return len(word) >= _MIN_LETTERS or (len(word) >= _MIN_MIXED and digits >= 2)


def _name(path: Path) -> str:
    return ".".join(map(str, path))
