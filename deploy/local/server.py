"""A child process that serves HTTP on loopback and reports its readiness on /readyz."""

import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local.process import spawn, stop
from shared.http.server import listen

_STOP_SECONDS = 10.0


class Server:
    """`python -m <module and arguments>`, with its listening socket in TOCSIN_HTTP_FD.

    This process owns the socket from the first start until `stop`, so requests queue in it while
    the child restarts. The child opens `probes_port` itself, unless it has its probes on `port`.
    """

    stop_signal = signal.SIGTERM

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        port: int,
        env: Mapping[str, str],
        log: Path,
        probes_port: int | None = None,
    ) -> None:
        self.name, self.arguments, self.port, self.log = name, arguments, port, log
        self.probes_port = probes_port or port
        ports = {"TOCSIN_HTTP_PORT": str(port), "TOCSIN_PROBES_PORT": str(self.probes_port)}
        self.env = {**env, **ports}
        self.process: subprocess.Popen[bytes] | None = None
        self._listening: socket.socket | None = None

    def start(self) -> subprocess.Popen[bytes]:
        """Start it; `problem` reports when it is ready. RuntimeError when its port is taken."""
        if self._listening is None:
            try:
                self._listening = listen("127.0.0.1", self.port)
            except OSError:
                raise RuntimeError(
                    f"port {self.port} on 127.0.0.1, which {self.name} needs, is taken"
                ) from None
        descriptor = self._listening.fileno()
        environment = {**self.env, "TOCSIN_HTTP_FD": str(descriptor)}
        self.process = spawn(
            [sys.executable, "-m", *self.arguments], self.log, env=environment, keep=[descriptor]
        )
        return self.process

    def stop(self) -> None:
        """Stop it and release its port; interrupted work is repeated after the next start."""
        if self.process:
            stop(self.process, self.stop_signal, _STOP_SECONDS)
        if self._listening:
            self._listening.close()
            self._listening = None

    def problem(self) -> str | None:
        """Why it cannot work now, or None."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.probes_port}/readyz", timeout=5):
                return None
        except urllib.error.HTTPError as error:
            return f"not ready: {error.read(500).decode(errors='replace')}"
        except OSError:
            return "does not answer"
