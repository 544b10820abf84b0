"""The text of a policy file as plain values, with the line of every part.

Scalars are the text that is in the file (`null`, `~` and nothing are None), so that YAML 1.1's
guesses (17:30 is 1050, no is False) cannot happen. `${TOCSIN_...}` in a value is taken from the
environment, or from the file that TOCSIN_..._FILE names there.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from shared.runtime.variables import SecretFileError, is_set, value_of

MAX_BYTES = 1024 * 1024
_MAX_NODES = 100_000
_MAX_DEPTH = 32
VARIABLE = re.compile(r"\$\{([^}]*)\}")
"""A reference to an environment variable inside a value."""
_PLAIN_TAG = re.compile(r"tag:yaml\.org,2002:\w+")

Path = tuple[str | int, ...]
"""Where something is in a file: keys and list positions, from the top."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a service's own check found at a path of its file."""

    path: Path
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class PolicyError:
    """One error: where it is, what is wrong and how to correct it. Never holds a value that may
    be secret.
    """

    file: str
    line: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}" + (f"; {self.hint}" if self.hint else "")


@dataclass(slots=True)
class PolicyTree:
    """Reads one file into plain values and keeps the line of every path. `errors` are the faults of
    the text itself; `written` holds every scalar as it is in the file, `${...}` included.
    """

    file: str
    environment: Mapping[str, str]
    errors: list[PolicyError] = field(default_factory=list)
    lines: dict[Path, int] = field(default_factory=dict)
    written: dict[Path, str] = field(default_factory=dict)

    def read(self, data: bytes) -> Any:
        """The content; faults go to `errors`."""
        if len(data) > MAX_BYTES:
            return self._fault(
                1, f"the file has {len(data)} bytes", f"at most {MAX_BYTES} are read"
            )
        try:
            root = yaml.compose(data.decode(), yaml.SafeLoader)
            return self._value(root, ()) if root else {}
        except UnicodeDecodeError as error:
            return self._fault(data[: error.start].count(b"\n") + 1, "the file is not UTF-8")
        except RecursionError:
            return self._fault(
                1, "the file is nested too deeply, or grows too large by its aliases"
            )
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            return self._fault(
                mark.line + 1 if mark else 1, f"not YAML: {error.problem or error.context}"
            )
        except yaml.YAMLError as error:  # an unprintable character: no mark, only an offset
            return self._fault(1, f"not YAML: {str(error).splitlines()[0]}")

    def error(self, finding: Finding) -> PolicyError:
        """The finding with its line: that of the nearest part that exists."""
        path = finding.path
        while path and path not in self.lines:
            path = path[:-1]
        return PolicyError(self.file, self.lines.get(path, 1), finding.message, finding.hint)

    def _fault(self, line: int, message: str, hint: str = "") -> None:
        self.errors.append(PolicyError(self.file, line, message, hint))

    def _value(self, node: yaml.Node, path: Path) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        # Aliases are followed, so a small file can grow without end: what is expanded is bounded,
        # not what is written.
        if len(self.lines) > _MAX_NODES or len(path) > _MAX_DEPTH:
            raise RecursionError
        if not _PLAIN_TAG.fullmatch(node.tag):
            return self._fault(line, f"the tag {node.tag} is not known", "write the value plainly")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*path, index)) for index, item in enumerate(node.value)]
        if getattr(node, "style", None) is None and node.value in ("", "~", "null"):
            return None
        self.written[path] = node.value
        return VARIABLE.sub(lambda match: self._variable(match[1], line), node.value)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                self._fault(line, "this kind of key is not supported", "write the keys out")
            elif key.value in mapping:
                first = self.lines[(*path, key.value)]
                self._fault(
                    line,
                    f"the key `{key.value}` is here a second time",
                    f"the first is in line {first}",
                )
            else:
                self.lines[(*path, key.value)] = line
                mapping[key.value] = self._value(value, (*path, key.value))
        return mapping

    def _variable(self, name: str, line: int) -> str:
        if not name.startswith("TOCSIN_"):
            self._fault(
                line,
                f"the variable `{name}` is not taken",
                "only names that begin with TOCSIN_ are",
            )
        elif not is_set(self.environment, name):
            self._fault(
                line,
                f"the environment variable {name} is not set",
                f"set it or {name}_FILE, or write the value here",
            )
        try:
            return value_of(self.environment, name) or ""
        except SecretFileError as error:
            self._fault(line, str(error))
            return ""
