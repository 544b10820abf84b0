"""What a newcomer is told once the stack is up."""

from rich.console import Console

from deploy.local.paths import ENVIRONMENT
from deploy.local.ports import url
from deploy.local.state import Secrets, State


def greet(console: Console, current: State) -> None:
    """Say where everything is and how to send a first signal."""
    key = Secrets.load().integration_key
    console.print(
        f"""
[bold green]Tocsin is up.[/]
  console          {url(current.ports["reporting"])}
  inbox            {url(current.ports["inbox"])}  [dim](the pages that were sent)[/]
  canary           {url(current.ports["reporting"])}/canary  [dim](a synthetic incident a minute)[/]
  integration key  {key}
  settings         {ENVIRONMENT}  [dim](read by `.venv/bin/tocsin incidents list` and its like)[/]

Send a first signal:
""",
        highlight=False,
    )
    event = (
        '{"specversion":"1.0","id":"\'$(date +%s)\'","source":"/first","type":"tocsin.signals.Alert",'
        '"data":{"status":"firing","service":"checkout","severity":"critical","summary":"checkout answers 500"}}'
    )
    line = (
        f"curl -X POST {url(current.ports['intake'])}/v1/signals -H 'Authorization: Bearer {key}' "
        f"-H 'Content-Type: application/cloudevents+json' -d '{event}'"
    )
    console.print(line, soft_wrap=True, markup=False, highlight=False)
    console.print()
