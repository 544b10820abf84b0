"""A child process of our own that serves HTTP on loopback and says on /readyz whether it can work."""

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
    """`python -m <module and arguments>`, its listening socket in TOCSIN_HTTP_FD.

    The socket is ours, from the first start to the stop: while the process is away, requests wait
    in it.
    """

    stop_signal = signal.SIGTERM

    def __init__(
        self, name: str, arguments: Sequence[str], port: int, env: Mapping[str, str], log: Path
    ) -> None:
        self.name, self.arguments, self.port, self.log = name, arguments, port, log
        self.env = {**env, "TOCSIN_HTTP_PORT": str(port)}
        self.process: subprocess.Popen[bytes] | None = None
        self._listening: socket.socket | None = None

    def start(self) -> subprocess.Popen[bytes]:
        """Start it; whether it is ready, `problem` tells. RuntimeError when somebody else has its
        port.
        """
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
        """End it, and let go of its port; what it was doing is done again at the next start."""
        if self.process:
            stop(self.process, self.stop_signal, _STOP_SECONDS)
        if self._listening:
            self._listening.close()
            self._listening = None

    def problem(self) -> str | None:
        """Why it cannot work now, or None."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5):
                return None
        except urllib.error.HTTPError as error:
            return f"not ready: {error.read(500).decode(errors='replace')}"
        except OSError:
            return "does not answer"
