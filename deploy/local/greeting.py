"""What `tocsin up` prints once the stack is ready: addresses, and how to send a first signal."""

from rich.console import Console
from rich.text import Text

from deploy.local.paths import ENVIRONMENT
from deploy.local.ports import url
from deploy.local.state import Secrets, State

_KEY_VARIABLE = "$TOCSIN_INTEGRATION_KEY"
_FIRST_SIGNAL = (
    '{"specversion":"1.0","id":"\'$(date +%s)\'","source":"/first","type":"tocsin.signals.Alert",'
    '"data":{"status":"firing","service":"checkout","severity":"critical",'
    '"summary":"checkout answers 500"}}'
)


def greet(console: Console, current: State) -> None:
    """Print addresses, the integration key and the first commands. No line is wrapped: all of them
    are there to be copied. Only a terminal shows the key: other output may be kept as a log.
    """
    key = (Secrets.load().integration_key or "") if console.is_terminal else _KEY_VARIABLE
    console.print("\n[bold green]Tocsin is up.[/]")
    for name, value, remark in _addresses(current, key):
        line = Text.assemble(f"  {name:16} ", value, (f"  ({remark})" if remark else "", "dim"))
        console.print(line, soft_wrap=True)
    _print_commands(console, "Send a first signal:", _first_signal(current, key))
    _print_commands(
        console,
        "Its page is in the inbox. Then read its number from the list and show it:",
        ".venv/bin/tocsin incidents list",
        ".venv/bin/tocsin incidents show INC-NUMBER",
    )
    console.print()


def _addresses(current: State, key: str) -> list[tuple[str, str, str]]:
    console = url(current.ports["reporting"])
    return [
        ("console", console, ""),
        ("inbox", url(current.ports["inbox"]), "the pages that were sent"),
        ("canary", f"{console}/canary", "a synthetic incident a minute; it takes numbers too"),
        ("integration key", key, ""),
        ("settings", str(ENVIRONMENT), "`.venv/bin/tocsin` commands read it"),
    ]


def _first_signal(current: State, key: str) -> str:
    return (
        f"curl -X POST {url(current.ports['intake'])}/v1/signals "
        f'-H "Authorization: Bearer {key}" '
        f"-H 'Content-Type: application/cloudevents+json' -d '{_FIRST_SIGNAL}'"
    )


def _print_commands(console: Console, title: str, *commands: str) -> None:
    console.print(f"\n{title}\n", soft_wrap=True, markup=False, highlight=False)
    for command in commands:
        console.print(command, soft_wrap=True, markup=False, highlight=False)
