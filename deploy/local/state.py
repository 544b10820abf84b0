"""What the local stack remembers from one start to the next: ports, secrets, and which processes
are its own.
"""

import base64
import fcntl
import os
import secrets
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from deploy.local import ports
from deploy.local.paths import ENVIRONMENT, LOCAL, SECRETS, STATE
from deploy.local.process import birth

SERVICES = ("intake", "triage", "escalation", "reporting")
PORTS = ("kafka", "kafka_controller", "inbox", "inbox_smtp", *SERVICES, "canary")


class AlreadyUp(Exception):
    """Another supervisor of this checkout runs."""


class Record(BaseModel):
    """A process: `born` tells it from a later one with the same pid, `stop_signal` is how to end
    it.
    """

    pid: int
    born: str
    stop_signal: int

    @classmethod
    def of(cls, pid: int, stop_signal: int) -> "Record | None":
        """The record of a process, or None when it is gone already."""
        born = birth(pid)
        return cls(pid=pid, born=born, stop_signal=stop_signal) if born else None

    @property
    def alive(self) -> bool:
        """Whether that very process still runs."""
        return birth(self.pid) == self.born


class State(BaseModel):
    """`.local/state.json`."""

    ports: dict[str, int] = {}
    supervisor: Record | None = None
    processes: dict[str, Record] = {}
    ready: bool = False

    @classmethod
    def load(cls) -> "State":
        """As saved last; empty when there is none that can be read."""
        try:
            return cls.model_validate_json(STATE.read_bytes())
        except (FileNotFoundError, ValidationError):
            return cls()

    def save(self) -> None:
        """Replace the file in one step."""
        write_private(STATE, self.model_dump_json(indent=1))

    def choose_ports(self) -> None:
        """Give each user of a port one; those that have one keep it, so that addresses last."""
        missing = [name for name in PORTS if name not in self.ports]
        self.ports |= dict(zip(missing, ports.choose(len(missing)), strict=True))


class Secrets(BaseModel):
    """`.local/secrets.json`, for this user only; made at the first start."""

    secret_key: str = Field(default_factory=lambda: secrets.token_urlsafe(32))
    api_token: str = Field(default_factory=lambda: secrets.token_urlsafe(32))
    webhook_secret: str = Field(
        default_factory=lambda: "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    )
    integration_key: str | None = None

    @classmethod
    def load(cls) -> "Secrets":
        """As saved, or new ones."""
        return cls.model_validate_json(SECRETS.read_bytes()) if SECRETS.exists() else cls()

    def save(self) -> None:
        """Replace the file in one step."""
        write_private(SECRETS, self.model_dump_json(indent=1))


def save_environment(variables: Mapping[str, str]) -> None:
    """Write `.local/env`, which a shell can read: `set -a; . .local/env; set +a`."""
    lines = (f"{name}={shlex.quote(value)}\n" for name, value in variables.items())
    write_private(ENVIRONMENT, "".join(lines))


def adopt_environment() -> None:
    """Take `.local/env` if this process was told nothing else: so that `tocsin` finds the stack of
    its checkout.
    """
    told = any(name.startswith("TOCSIN_") and name != "TOCSIN_LOCAL_DIR" for name in os.environ)
    if not told and ENVIRONMENT.exists():
        words = shlex.split(ENVIRONMENT.read_text())
        os.environ.update(
            {name: value for name, _, value in (word.partition("=") for word in words)}
        )


def write_private(path: Path, text: str) -> None:
    """Write a file that only this user can read, in one step."""
    path.parent.mkdir(exist_ok=True)
    half = path.with_name(path.name + ".new")
    half.unlink(missing_ok=True)
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    half.replace(path)


@contextmanager
def only_supervisor() -> Iterator[None]:
    """Hold the checkout's lock; the system lets go of it whichever way we end. Raises AlreadyUp."""
    LOCAL.mkdir(exist_ok=True)
    LOCAL.chmod(0o700)
    with (LOCAL / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyUp from None
        yield
