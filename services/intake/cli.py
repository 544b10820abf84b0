"""`tocsin intake`: the service, the keys of those who may send, and the decisions about what they
sent.
"""

import importlib
from typing import TYPE_CHECKING

from services.intake import NAME
from services.intake.incidents.cli import add_commands
from services.intake.keys.cli import make_commands
from shared.policy.files import InvalidPolicy
from shared.postgres.database import Database
from shared.runtime.commands import refused_on, service_commands
from shared.runtime.settings import load_settings

if TYPE_CHECKING:
    from services.intake.incidents.decisions import Decisions


def _open_decisions() -> "tuple[Database, Decisions]":
    # Imported here: no other command needs the modules of a server.
    opened = importlib.import_module("services.intake.app").open_decisions
    with refused_on(InvalidPolicy):
        found: tuple[Database, Decisions] = opened(load_settings())
    return found


app = service_commands("services.intake", "Identify and log: signals in, incidents out.")
app.add_typer(make_commands(lambda: Database(load_settings().dsn(NAME))), name="keys")
add_commands(app, _open_decisions)
