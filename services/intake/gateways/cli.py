"""`tocsin intake mappings`: how bodies of senders are read."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from services.intake.gateways.domain.mapping import Received, signals_in
from services.intake.gateways.policy import (
    FOLDER,
    GatewayPolicy,
    Signers,
    bundle,
    in_force,
    read_bundle,
    shipped_text,
)
from shared.events.documents import load_json
from shared.events.malformed import Malformed
from shared.policy.files import did_you_mean
from shared.runtime.commands import refused, refused_on
from shared.runtime.printing import print_view

_MAX_BYTES = 2 * 1024 * 1024

commands = typer.Typer(no_args_is_help=True, help="Mappings: how bodies of senders are read.")

Name = Annotated[str, typer.Argument(help="As `list` shows it.")]
Folder = Annotated[
    Path,
    typer.Option(
        "--policy-dir", envvar="TOCSIN_POLICY_DIR", help="The folder of the policy files."
    ),
]


@commands.command("list")
def list_mappings(policy_dir: Folder = Path("policy")) -> None:
    """List the mappings: those that come with Tocsin, and those of the policy folder."""
    table = Table("name", "about", "says resolved", "from")
    for name, mapping in sorted(_policy(policy_dir).mappings.items()):
        resolved = "yes" if mapping.sends_resolved else f"no: expires after {mapping.expire_after}"
        own = (policy_dir / FOLDER / f"{name}.yaml").exists()
        table.add_row(name, mapping.about, resolved, "policy folder" if own else "Tocsin")
    print_view(table)


@commands.command("show")
def show(name: Name, policy_dir: Folder = Path("policy")) -> None:
    """Print a mapping. Its copy in the policy folder, as mappings/NAME.yaml, replaces it."""
    _known(name, _policy(policy_dir))
    own = policy_dir / FOLDER / f"{name}.yaml"
    typer.echo(own.read_text() if own.exists() else shipped_text(name), nl=False)


@commands.command("try")
def try_mapping(
    name: Name,
    body: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A body, as sent.")],
    header: Annotated[
        list[str] | None, typer.Option(help="A header, as `X-GitHub-Event: ping`.")
    ] = None,
    policy_dir: Folder = Path("policy"),
) -> None:
    """Print the signals that a mapping makes of a body. Nothing is stored."""
    policy = _policy(policy_dir)
    _known(name, policy)
    pairs = [one.partition(":") for one in header or []]
    headers = [(key.strip(), value.strip().encode()) for key, _, value in pairs]
    now = datetime.now(UTC)
    with refused_on(Malformed):
        document = load_json(body.read_bytes(), "body", _MAX_BYTES)
        received = Received("try", document, headers, {}, now)
        signals = signals_in(name, policy.mappings[name], received)
    for signal in signals:
        typer.echo(json.dumps(signal.data.model_dump(mode="json"), indent=2, ensure_ascii=False))
    if not signals:
        typer.echo("nothing: the mapping skips it")


def _policy(folder: Path) -> GatewayPolicy:
    own = read_bundle(bundle(folder / FOLDER)).content
    return in_force(own, Signers())


def _known(name: str, policy: GatewayPolicy) -> None:
    if name not in policy.mappings:
        hint = did_you_mean(name, policy.mappings) or "see `tocsin intake mappings list`"
        raise refused(f"there is no mapping `{name}`; {hint}")
