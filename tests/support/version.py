"""A version of Tocsin: this checkout, or another commit that is installed beside it."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from dataclasses import dataclass
from pathlib import Path

_OWN_SETTINGS = ("TOCSIN_", "OTEL_", "PYTHONPATH")


@dataclass(frozen=True, slots=True)
class Version:
    """The folder of a version and its `tocsin` command. It is used through this command alone."""

    folder: Path
    tocsin: Path

    async def run(self, *arguments: str, **settings: str) -> str:
        """Run a command and return what it prints. Raises RuntimeError when the command fails."""
        process = await asyncio.create_subprocess_exec(
            self.tocsin,
            *arguments,
            cwd=self.folder,
            env=inherited() | settings,
            stdout=PIPE,
            stderr=PIPE,
        )
        printed, complaint = await process.communicate()
        if process.returncode:
            command = " ".join(("tocsin", *arguments))
            raise RuntimeError(f"`{command}` failed in {self.folder}: {complaint.decode()[-2000:]}")
        return printed.decode()

    async def create_key(self, name: str, **settings: str) -> str:
        """Make an integration with a key, by the command that the version has."""
        try:
            return (await self.run("intake", "integrations", "create", name, **settings)).strip()
        except RuntimeError:  # before there were integrations
            return (await self.run("intake", "keys", "create", name, **settings)).strip()


THIS = Version(Path(__file__).resolve().parents[2], Path(sys.executable).with_name("tocsin"))
"""The checkout that this file belongs to."""


def inherited() -> dict[str, str]:
    """The environment of this process, without the variables that would change how Tocsin runs."""
    return {name: text for name, text in os.environ.items() if not name.startswith(_OWN_SETTINGS)}
