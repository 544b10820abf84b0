"""A policy file as a running service holds it: read again when it changes, the last good version
kept over restarts.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic

from shared.policy.files import InvalidPolicy, M, PolicyError, PolicyFile
from shared.postgres.database import Database
from shared.postgres.errors import UNAVAILABLE
from shared.postgres.saved_policies import load_saved_policy, save_policy
from shared.runtime.clock import system_clock
from shared.telemetry import Level
from shared.telemetry.metrics import POLICY_FAULTS, POLICY_LOADED

log = logging.getLogger(__name__)
_POLL_SECONDS = 2.0


class PolicyWatch(Generic[M]):
    """One file of the policy folder. `current` is the policy in force; `faults` says why a newer
    file is not.

    `read` checks the bytes of the file and raises InvalidPolicy. An `optional` file may be missing:
    it counts as empty. `load` takes the bytes of what is more than one file.
    """

    def __init__(
        self,
        path: Path,
        read: Callable[[bytes], PolicyFile[M]],
        database: Database,
        *,
        optional: bool = False,
        load: Callable[[Path], bytes] = Path.read_bytes,
        poll_seconds: float = _POLL_SECONDS,
    ) -> None:
        self.faults: list[PolicyError] = []
        self._path = path
        self._read = read
        self._database = database
        self._optional = optional
        self._load = load
        self._poll_seconds = poll_seconds
        self._taken_at = system_clock()
        self._current: PolicyFile[M] | None = None
        self._saved: str | None = None
        self._seen: bytes | None = None

    @property
    def current(self) -> PolicyFile[M]:
        """The policy in force."""
        assert self._current is not None, "start() comes first"  # noqa: S101
        return self._current

    async def start(self) -> None:
        """Take the file, or the last good version when it is bad. Raises InvalidPolicy when there
        is neither.

        Postgres may be down: it is needed for the last good version only.
        """
        await self._poll()
        if self._current is None:
            self._current = await self._last_good()
            log.error(
                "the policy file is bad; its last good version is in force",
                extra={"version": self.current.version},
            )
        await self._save()

    async def run(self) -> None:
        """Follow the file until cancelled."""
        while True:
            await asyncio.sleep(self._poll_seconds)
            await self._poll()
            await self._save()

    def problems(self) -> list[str]:
        """None: with the last good version in force the service does its work. See `faults`."""
        return []

    def policy_version(self) -> tuple[str, str]:
        """The file's name, and its version in force."""
        return self._path.name, self.current.version

    def levels(self) -> list[Level]:
        """When the policy in force was taken, and how many faults keep the file from being in
        force.
        """
        name = (self._path.name,)
        return [
            Level(POLICY_LOADED, self._taken_at.timestamp(), name),
            Level(POLICY_FAULTS, len(self.faults), name),
        ]

    async def _poll(self) -> None:
        try:
            data = await asyncio.to_thread(self._bytes)
            if data == self._seen:
                return
            # Read in this task: a half-written file is bad for one poll only, and the last good
            # version stays.
            self._seen = data
            policy = self._read(data)
        except InvalidPolicy as invalid:
            self._refuse(invalid.errors)
            return
        if self.faults:
            version = policy.version
            log.info(
                "a policy file is good again", extra={"policy": policy.name, "version": version}
            )
        self.faults = []
        if self._current is None or policy.version != self._current.version:
            log.info("policy in force", extra={"policy": policy.name, "version": policy.version})
            self._taken_at = system_clock()
        self._current = policy

    def _refuse(self, errors: list[PolicyError]) -> None:
        if errors != self.faults:
            log.error(
                "a policy file is refused", extra={"errors": [str(error) for error in errors]}
            )
        self.faults = errors

    def _bytes(self) -> bytes:
        try:
            return self._load(self._path)
        except FileNotFoundError:
            if self._optional:
                return b""
            self._seen = None
            raise self._unreadable(
                "the file is missing", f"add it to {self._path.parent}"
            ) from None
        except OSError as error:
            self._seen = None
            raise self._unreadable(f"the file cannot be read: {error.strerror}") from None

    def _unreadable(self, message: str, hint: str = "") -> InvalidPolicy:
        return InvalidPolicy([PolicyError(self._path.name, 0, message, hint)])

    async def _save(self) -> None:
        """Keep the policy in force for the next start; tried again at the next poll when Postgres
        is down.
        """
        policy = self.current
        if self._saved == policy.version:
            return
        try:
            async with self._database.connection() as connection:
                await save_policy(connection, policy.name, policy.version, policy.text)
        except UNAVAILABLE:
            return
        self._saved = policy.version

    async def _last_good(self) -> PolicyFile[M]:
        try:
            async with self._database.connection() as connection:
                text = await load_saved_policy(connection, self._path.name)
        except UNAVAILABLE:
            text = None
        if text is None:
            raise InvalidPolicy(self.faults)
        try:
            return self._read(text.encode())
        except InvalidPolicy:
            # Saved by a program that checked less, or under other environment variables.
            raise InvalidPolicy(self.faults) from None
