"""What the local stack keeps between starts: ports, secrets, and the processes that it started."""

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
from deploy.local.services import installed_services


class AlreadyUp(Exception):
    """Another supervisor of this checkout is running."""


def port_names() -> list[str]:
    """What needs a port: the servers, the services and the canary, and the probes of these."""
    services = [*installed_services(), "canary"]
    servers = ["kafka", "kafka_controller", "inbox", "inbox_smtp"]
    return [*servers, *services, *map(probes_of, services)]


def probes_of(service: str) -> str:
    """The name of the port of a service's probes and metrics."""
    return f"{service}_probes"


class ProcessRecord(BaseModel):
    """A started process. `born` distinguishes it from a later one with the same pid."""

    pid: int
    born: str
    stop_signal: int

    @classmethod
    def of(cls, pid: int, stop_signal: int) -> "ProcessRecord | None":
        """The record of a running process, or None when it has ended."""
        born = birth(pid)
        return cls(pid=pid, born=born, stop_signal=stop_signal) if born else None

    @property
    def alive(self) -> bool:
        """Whether that process still runs."""
        return birth(self.pid) == self.born


class State(BaseModel):
    """`.local/state.json`."""

    ports: dict[str, int] = {}
    supervisor: ProcessRecord | None = None
    processes: dict[str, ProcessRecord] = {}
    ready: bool = False

    @classmethod
    def load(cls) -> "State":
        """As last saved; empty when there is none that can be read."""
        try:
            return cls.model_validate_json(STATE.read_bytes())
        except (FileNotFoundError, ValidationError):
            return cls()

    def save(self) -> None:
        """Replace the file atomically."""
        write_private(STATE, self.model_dump_json(indent=1))

    def choose_ports(self) -> None:
        """Choose a port for each part that has none; the others keep theirs over restarts."""
        missing = [name for name in port_names() if name not in self.ports]
        self.ports |= dict(zip(missing, ports.choose(len(missing)), strict=True))


class Secrets(BaseModel):
    """`.local/secrets.json`, readable by this user only; created at the first start."""

    secret_key: str = Field(default_factory=lambda: secrets.token_urlsafe(32))
    api_token: str = Field(default_factory=lambda: secrets.token_urlsafe(32))
    webhook_secret: str = Field(
        default_factory=lambda: "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    )
    integration_key: str | None = None

    @classmethod
    def load(cls) -> "Secrets":
        """The saved ones, or new ones."""
        return cls.model_validate_json(SECRETS.read_bytes()) if SECRETS.exists() else cls()

    def save(self) -> None:
        """Replace the file atomically."""
        write_private(SECRETS, self.model_dump_json(indent=1))


def save_environment(variables: Mapping[str, str]) -> None:
    """Write `.local/env`, which a shell can read: `set -a; . .local/env; set +a`."""
    lines = (f"{name}={shlex.quote(value)}\n" for name, value in variables.items())
    write_private(ENVIRONMENT, "".join(lines))


def adopt_environment() -> None:
    """Load `.local/env` unless other TOCSIN_ variables are set, so that `tocsin` finds the stack of
    its checkout.
    """
    given = {name for name in os.environ if name.startswith("TOCSIN_")} - {"TOCSIN_LOCAL_DIR"}
    if given or not ENVIRONMENT.exists():
        return
    for assignment in shlex.split(ENVIRONMENT.read_text()):
        name, _, value = assignment.partition("=")
        os.environ[name] = value


def write_private(path: Path, text: str) -> None:
    """Write a file that only this user can read, atomically."""
    path.parent.mkdir(exist_ok=True)
    unfinished = path.with_name(path.name + ".new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    unfinished.replace(path)


@contextmanager
def only_supervisor() -> Iterator[None]:
    """Hold the checkout's lock; the system releases it when this process ends. Raises AlreadyUp."""
    LOCAL.mkdir(exist_ok=True)
    LOCAL.chmod(0o700)
    with (LOCAL / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyUp from None
        yield
