"""Every Kafka client connects as the settings say: none is left in plain text."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.tree import parse, relative, sources

CLIENTS = ("AIOKafkaClient", "AIOKafkaAdminClient", "AIOKafkaConsumer", "AIOKafkaProducer")
TAKE_SECURITY = ("Cluster", "Publisher", "apply_topics", "read_dead_letters", "redrive_records")
"""What connects to Kafka with the keyword `security`."""
PRODUCTION = sources("shared", "services")


def calls(path: Path, names: tuple[str, ...]) -> Iterator[tuple[ast.Call, ast.AST]]:
    """Calls of these names in a file, each with the outermost function or class around it."""
    for around in parse(path).body:
        for node in ast.walk(around):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            if node.func.id in names:
                yield node, around


@pytest.mark.parametrize("name", TAKE_SECURITY)
def test_whatever_connects_is_given_its_security(name: str) -> None:
    found = [(path, call) for path in PRODUCTION for call, _ in calls(path, (name,))]
    assert found, "renamed or gone: change the list"
    without = [
        f"{relative(path)}:{call.lineno}"
        for path, call in found
        if "security" not in [keyword.arg for keyword in call.keywords]
    ]
    assert without == []


def test_every_client_is_built_with_the_options_of_its_security() -> None:
    found = [(path, call, around) for path in PRODUCTION for call, around in calls(path, CLIENTS)]
    assert found
    without = [
        f"{relative(path)}:{call.lineno}"
        for path, call, around in found
        if "security.options()" not in ast.unparse(around)
    ]
    assert without == []
