"""All connections to Postgres are opened in one place, so that all have TLS, time-outs and password
files.
"""

import re

from tests.architecture.tree import PACKAGES, relative, sources

_OPENED = re.compile(r"\basyncpg\.(connect|create_pool)\(")


def test_connections_are_opened_in_one_place() -> None:
    opening = {relative(path) for path in sources(*PACKAGES) if _OPENED.search(path.read_text())}
    assert opening == {"shared/postgres/connecting.py", "shared/postgres/database.py"}
