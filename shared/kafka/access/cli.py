"""`tocsin acls list|apply`."""

import asyncio
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer
import yaml
from rich.table import Table

from shared.kafka.access.acls import Acl, Difference, acl_of, open_acls
from shared.kafka.access.formats import kafka_acls_command, principal_of, strimzi_user
from shared.kafka.access.grants import ROLES, Grant, all_grants
from shared.runtime.commands import refused
from shared.runtime.discovery import missing_services
from shared.runtime.printing import print_view
from shared.runtime.settings import Settings, load_settings

app = typer.Typer(
    no_args_is_help=True,
    help="Who may do what in Kafka: one principal for each service, and named ones for the rest.",
)
_ROLE = "{role}"
_TEMPLATE = f"tocsin-{_ROLE}"

User = tuple[str, Sequence[Grant]]
"""Name and grants of one principal."""


class Format(StrEnum):
    """How `list` writes the grants."""

    TABLE = "table"
    KAFKA_ACLS = "kafka-acls"
    STRIMZI = "strimzi"


Principal = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Name of a role's principal, with {role} in it. For tokens of Kubernetes: "
        "system:serviceaccount:NAMESPACE:tocsin-{role}.",
    ),
]
Also = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ROLE=NAME",
        help="One more principal for a role, such as publisher=billing. Repeatable.",
    ),
]


@app.command("list")
def list_grants(
    principal: Principal = _TEMPLATE,
    also: Also = None,
    output: Annotated[Format, typer.Option("--format", help="What to print.")] = Format.TABLE,
    cluster: Annotated[
        str, typer.Option(help="Name of the Kafka that strimzi's KafkaUsers are for.")
    ] = "kafka",
) -> None:
    """List what each principal may do: as a table, as commands of Kafka's distribution, or as
    KafkaUsers of Strimzi.
    """
    users = _users(load_settings(), principal, also)
    match output:
        case Format.STRIMZI:
            made = [strimzi_user(grants, name, cluster) for name, grants in users]
            typer.echo(yaml.safe_dump_all(made, sort_keys=False), nl=False)
        case Format.KAFKA_ACLS:
            for name, grants in users:
                for grant in grants:
                    typer.echo(kafka_acls_command(grant, name))
        case Format.TABLE:
            print_view(_table(users))


def _table(users: Sequence[User]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("principal", "operation", "resource", "name"):
        table.add_column(column, overflow="fold")
    for name, grants in users:
        for grant in grants:
            thing = grant.name + "*" * grant.prefixed
            table.add_row(principal_of(name), grant.operation, grant.resource, thing)
    return table


@app.command()
def apply(
    principal: Principal = _TEMPLATE,
    also: Also = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove what is not declared, but for wider patterns.")
    ] = False,
) -> None:
    """Make missing ACLs, and name those that are not declared. Says what it did; safe to repeat.

    Needs a principal that may alter the cluster, such as a super user, in TOCSIN_KAFKA_USERNAME.
    """
    if missing := missing_services():
        raise refused(f"not installed here: {', '.join(missing)}; run this where all services are")
    settings = load_settings()
    wanted = [
        acl_of(grant, principal_of(name))
        for name, grants in _users(settings, principal, also)
        for grant in grants
    ]
    found, removed = asyncio.run(_apply(settings, wanted, prune))
    for acl in found.missing:
        typer.echo(f"{acl}: added")
    for acl in found.undeclared:
        typer.echo(f"{acl}: not declared{', removed' if acl in removed else ''}")
    if not found.missing and not found.undeclared:
        typer.echo("all ACLs are as they should be")


async def _apply(
    settings: Settings, wanted: Sequence[Acl], prune: bool
) -> tuple[Difference, Sequence[Acl]]:
    """What differed, and what was removed."""
    own = {(acl.resource, acl.name, acl.pattern) for acl in wanted}
    async with open_acls(settings.kafka, settings.kafka_security("admin")) as acls:
        found = await acls.compare(wanted)
        await acls.add(found.missing)
        removed = [
            acl
            for acl in found.undeclared
            if prune and (acl.resource, acl.name, acl.pattern) in own
        ]
        await acls.remove(removed)
        return found, removed


def _users(settings: Settings, template: str, also: Sequence[str] | None) -> Sequence[User]:
    """Every principal's name, and its grants."""
    if _ROLE not in template:
        raise typer.BadParameter(f"{template}: must have {_ROLE} in it, or all would be one")
    grants: dict[str, list[Grant]] = {}
    for grant in all_grants(settings.topic_prefix):
        grants.setdefault(grant.role, []).append(grant)
    users: list[User] = [
        (template.replace(_ROLE, role), granted) for role, granted in grants.items()
    ]
    for text in also or ():
        role, _, name = text.partition("=")
        if role not in grants or not name:
            known = ", ".join(ROLES)
            raise typer.BadParameter(f"{text}: must be ROLE=NAME, and the role one of {known}")
        users.append((name, grants[role]))
    return users
