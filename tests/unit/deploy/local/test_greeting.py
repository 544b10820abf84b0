"""What a newcomer reads: a terminal shows the key, a log does not."""

from io import StringIO

import pytest
from rich.console import Console

from deploy.local.greeting import greet
from deploy.local.state import Secrets, State, port_names


@pytest.mark.parametrize("terminal", [True, False])
def test_only_a_terminal_shows_the_integration_key(
    monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    secrets = Secrets(integration_key="tocsin_1234_hush")
    monkeypatch.setattr(Secrets, "load", lambda: secrets)
    written = StringIO()
    ports = dict.fromkeys(port_names(), 20000)
    greet(Console(file=written, force_terminal=terminal, width=200), State(ports=ports))
    text = written.getvalue()
    key = secrets.integration_key if terminal else "$TOCSIN_INTEGRATION_KEY"
    assert f'-H "Authorization: Bearer {key}"' in text
    assert ("hush" in text) is terminal
