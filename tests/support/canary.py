"""Canaries beside a running Tocsin: their policy, and the command that runs their rounds."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from tests.support.running import Running, free_port

_USER = """  {name}:
    name: A canary
    email: c@mail.example
    webhook: "{url}"
    methods: [webhook]
"""
_POLICY = '  {name}: {{rounds: 1, steps: [{{targets: ["user:{name}"], wait: 1h}}]}}\n'


def with_canaries(files: Mapping[str, str], receivers: Mapping[str, str]) -> dict[str, str]:
    """Add a service, a team and a user for each name to the policy files; each user is paged at the
    given address.
    """
    teams, catalogue = files["teams.yaml"], files["catalogue.yaml"]
    for name, url in receivers.items():
        teams = teams.replace("users:\n", "users:\n" + _USER.format(name=name, url=url))
        teams = teams.replace("\nteams:\n", f"\nteams:\n  {name}: {{policy: {name}}}\n")
        teams = teams.replace("policies:\n", "policies:\n" + _POLICY.format(name=name))
        catalogue += f"  {name}: {{team: {name}, tier: 4, synthetic: true}}\n"
    return {**files, "teams.yaml": teams, "catalogue.yaml": catalogue}


class Flock:
    """Canaries by name, each with a receiver of its own."""

    def __init__(self, *names: str) -> None:
        self.ports = {name: free_port() for name in names}
        self.probes = {name: free_port() for name in names}

    @property
    def receivers(self) -> dict[str, str]:
        """The address at which each is paged."""
        return {name: f"http://127.0.0.1:{port}/pages" for name, port in self.ports.items()}

    def environment(self, tocsin: Running, name: str, **more: str) -> dict[str, str]:
        """The environment variables of one canary."""
        return tocsin.environment | {
            "TOCSIN_INTAKE_URL": tocsin.url("intake"),
            "TOCSIN_CANARY_KEY": tocsin.key,
            "TOCSIN_CANARY_NAME": name,
            "TOCSIN_CANARY_SERVICE": name,
            "TOCSIN_HTTP_PORT": str(self.ports[name]),
            "TOCSIN_PROBES_PORT": str(self.probes[name]),
            "COLUMNS": "200",
            **more,
        }

    async def once(
        self, tocsin: Running, name: str, patience: str = "60s", **more: str
    ) -> tuple[int, str]:
        """Run one round; returns the exit status and the output."""
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "shared.runtime.cli",
                "canary",
                "--once",
                "--patience",
                patience,
            ),
            env=self.environment(tocsin, name, **more),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        return process.returncode or 0, output.decode()

    @asynccontextmanager
    async def on_schedule(self, tocsin: Running, name: str, every: str) -> AsyncIterator[str]:
        """The address of the probes and metrics of a canary that runs rounds inside the block. It
        must stop cleanly on SIGTERM.
        """
        log = (tocsin.logs / f"{name}.log").open("ab")
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "shared.runtime.cli",
                "canary",
                "--every",
                every,
                "--patience",
                "60s",
            ),
            env=self.environment(tocsin, name),
            stdout=log,
            stderr=log,
        )
        try:
            yield f"http://127.0.0.1:{self.probes[name]}"
            process.terminate()
            async with asyncio.timeout(20):
                assert await process.wait() == 0, "it stops cleanly on SIGTERM"
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
