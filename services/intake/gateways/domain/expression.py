"""JMESPath (https://jmespath.org), within bounds. Besides its own functions there are `lower`,
`split`, `replace`, `words` (the texts of a list with a space between them) and `tag` (the value of
a name among tags).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions, signature
from jmespath.parser import Parser
from jmespath.visitor import Options, TreeInterpreter
from pydantic import PlainValidator

from services.intake.gateways.domain.values import labels, line

F = TypeVar("F", bound=Callable[..., Any])

_MAX_EXPRESSION = 1_000
_MAX_STEPS = 200_000
"""Of all expressions for one request; the first may take half of them: some 0.3 s."""
_MAX_RESULT = 1_000_000
_FAULTS = (JMESPathError, TypeError, ValueError, AttributeError, ArithmeticError, LookupError)
"""What JMESPath's functions raise for values that they are not made for."""


class TooMuchWork(Exception):
    """A body needs more steps than an expression may take."""


def _takes(*arguments: dict[str, list[str]]) -> Callable[[F], F]:
    """The types of a function's arguments, as JMESPath names them."""
    marked: Callable[[F], F] = signature(*arguments)
    return marked


class _Functions(Functions):  # type: ignore[misc]
    @_takes({"types": ["string"]})
    def _func_lower(self, value: str) -> str:
        return value.lower()

    @_takes({"types": ["string"]}, {"types": ["string"]})
    def _func_split(self, value: str, separator: str) -> list[str]:
        return [part.strip() for part in value.split(separator)]

    @_takes({"types": ["string"]}, {"types": ["string"]}, {"types": ["string"]})
    def _func_replace(self, value: str, old: str, new: str) -> str:
        if len(new) * value.count(old) > _MAX_RESULT:
            raise TooMuchWork
        return value.replace(old, new)

    @_takes({"types": ["array"]})
    def _func_words(self, parts: list[Any]) -> str:
        return " ".join(filter(None, (line(part, 4_096) for part in parts)))

    @_takes({"types": ["string", "array", "object", "null"]}, {"types": ["string"]})
    def _func_tag(self, tags: Any, wanted: str) -> str | None:
        return labels(tags).get(wanted)


class Interpreter(TreeInterpreter):  # type: ignore[misc]
    """Evaluates the expressions for one request. It stops after so many steps, and at results that
    are too large, instead of after a time: so a body always has the same result.
    """

    def __init__(self, steps: int = _MAX_STEPS) -> None:
        super().__init__(Options(custom_functions=_Functions()))
        self._left = steps
        self._kept = 0

    def evaluate(self, tree: Any, document: Any) -> Any:
        """The value of an expression, which may take half of the steps that are left: so one never
        costs the others. Raises TooMuchWork.
        """
        self._kept = self._left // 2
        return self.visit(tree, document)

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        """The value of a part of an expression. Raises TooMuchWork."""
        result = super().visit(node, *args, **kwargs)
        # A text of the body costs nothing: only functions make others.
        made = isinstance(result, list) or node["type"] == "function_expression"
        size = len(result) if made and isinstance(result, str | list) else 0
        self._left -= 1 + size // 16
        if self._left < self._kept or size > _MAX_RESULT:
            self._left = max(self._left, self._kept)
            raise TooMuchWork
        return result


@dataclass(frozen=True, slots=True)
class Expression:
    """A JMESPath expression as it is written, and parsed."""

    text: str
    tree: Any = field(repr=False, compare=False)

    def value(self, document: Any, interpreter: Interpreter) -> Any:
        """What it finds in a document; None where it does not fit. Raises TooMuchWork."""
        try:
            return interpreter.evaluate(self.tree, document)
        except _FAULTS:
            return None
        except RecursionError:
            raise TooMuchWork from None


def parse(text: Any) -> Expression:
    """Raises ValueError that says what is wrong, and where."""
    if isinstance(text, Expression):
        return text
    if not isinstance(text, str) or not text.strip():
        raise ValueError("write a JMESPath expression, e.g. body.title")
    if len(text) > _MAX_EXPRESSION:
        raise ValueError(f"has {len(text)} characters; at most {_MAX_EXPRESSION} are taken")
    try:
        expression = Expression(text, Parser().parse(text).parsed)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except _FAULTS as error:
        first = str(error).strip().splitlines()[0].rstrip(":")
        raise ValueError(f"is not JMESPath: {first}") from None
    if unknown := next(_unknown_functions(expression.tree), None):
        known = ", ".join(sorted(_Functions.FUNCTION_TABLE))
        raise ValueError(f"there is no function `{unknown}`; there are {known}")
    return expression


def _unknown_functions(tree: Any) -> Any:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, dict):
            continue
        if node["type"] == "function_expression" and node["value"] not in _Functions.FUNCTION_TABLE:
            yield node["value"]
        waiting += node["children"]


Written = Annotated[Expression, PlainValidator(parse)]
"""An expression in a policy file."""
