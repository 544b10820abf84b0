"""Takes alerts by SMTP. The local part of an address is an integration key, so who knows the
address may send, as with an address of HTTP.
"""

import asyncio
import logging
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from services.intake.gateways.gateway import Gateway
from services.intake.gateways.http.admission import Admission
from services.intake.integrations.domain import Integration
from services.intake.integrations.key_ring import TooManyUnknown
from services.intake.mail.domain.message import MAX_BYTES, Mail, read_mail
from services.intake.mail.domain.signals import SCOPE, signal_in
from services.intake.signals.domain import Identity, Overloaded, Refused, Signal, Taken
from services.intake.signals.domain.additions import with_settings
from shared.http.problems import Problem
from shared.postgres.errors import UNAVAILABLE
from shared.runtime.clock import Clock

log = logging.getLogger(__name__)
_MAX_CONNECTIONS = 200
_MAX_OF_ONE = 50
_IDLE_SECONDS = 60
_WHOLE_SECONDS = 300
_MAX_RECIPIENTS = 20
_MAX_UNKNOWN = 5
_MAX_COMMANDS = 1000
_LARGE = 32 * 1024
_BUSY = "451 4.3.2 too many signals are waiting, send it again"
_GATEWAY = Gateway(SCOPE, [])
_AWAY = "451 4.3.0 the database cannot be reached, send it again"

FindIntegration = Callable[[str, str], Awaitable[Integration | None]]
"""Whose key it is that is used with a gateway; None for a bad one."""
Certificate = tuple[Path, Path | None]
"""Files with a certificate and, if it is in another one, its key."""
Submit = Callable[[str, Sequence[Signal], int], Awaitable[Mapping[Identity, Taken]]]
"""Stores signals: of which integration, and how many bytes they were. Returns after the commit."""


class _Conversation(SMTP):
    """One connection, ended after some minutes whatever it does. Few senders break long lines."""

    line_length_limit = 64 * 1024
    command_size_limit = 1024

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        began = self.transport is None  # STARTTLS makes it anew
        super().connection_made(transport)
        if began:
            self._ending = self.loop.call_later(_WHOLE_SECONDS, transport.close)
            self.event_handler.came(self, transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._ending.cancel()
        self.event_handler.left(self)
        super().connection_lost(error)


class Listener:
    """A component, and the handler of aiosmtpd: its methods answer SMTP commands.

    250 comes after the commit only. Dying before it leaves the mail with its sender; dying after
    it, before the answer, makes the sender repeat a mail that is known by its Message-ID.
    """

    def __init__(
        self,
        listen: str,
        find: FindIntegration,
        submit: Submit,
        clock: Clock,
        certificate: Certificate | None = None,
    ) -> None:
        host, _, port = listen.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._find = find
        self._submit = submit
        self._clock = clock
        self._certificate = certificate
        self._admission = Admission()
        self._open: dict[SMTP, tuple[asyncio.BaseTransport, str]] = {}
        self.listening = asyncio.Event()
        self.port = 0

    async def run(self) -> None:
        """Listen until cancelled."""
        # Its log has every command, and so the keys.
        logging.getLogger("mail.log").disabled = True
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: self._conversation(loop), self._host, self._port)
        self.port = server.sockets[0].getsockname()[1]
        log.info("listening for mail", extra={"port": self.port})
        self.listening.set()
        try:
            async with server:
                await server.serve_forever()
        finally:
            self.listening.clear()
            for transport, _ in self._open.values():
                transport.close()

    def problems(self) -> list[str]:
        """Whether it is not listening yet, or has too many connections."""
        if not self.listening.is_set():
            return ["not listening for mail"]
        return ["too many connections by SMTP"] if len(self._open) >= _MAX_CONNECTIONS else []

    def _conversation(self, loop: asyncio.AbstractEventLoop) -> SMTP:
        return _Conversation(
            self,
            data_size_limit=MAX_BYTES,
            enable_SMTPUTF8=True,
            hostname="tocsin",
            ident="Tocsin",
            timeout=_IDLE_SECONDS,
            command_call_limit=_MAX_COMMANDS,
            auth_exclude_mechanism=["LOGIN", "PLAIN"],
            tls_context=self._tls(),
            loop=loop,
        )

    def _tls(self) -> ssl.SSLContext | None:
        """What STARTTLS is done with; read anew, so that a renewed certificate is used. Without one
        that can be read a mail is taken all the same.
        """
        if self._certificate is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(*self._certificate)
        except OSError as error:  # includes ssl.SSLError
            log.error("no STARTTLS: the certificate cannot be read", exc_info=error)
            return None
        return context

    def came(self, conversation: SMTP, transport: Any) -> None:
        """A connection was made; one too many is refused for now."""
        peer = str((transport.get_extra_info("peername") or ("",))[0])
        peers = Counter(address for _, address in self._open.values())
        self._open[conversation] = (transport, peer)
        if len(self._open) > _MAX_CONNECTIONS or peers[peer] >= _MAX_OF_ONE:
            transport.write(b"421 4.3.2 too many connections, come back later\r\n")
            transport.close()

    def left(self, conversation: SMTP) -> None:
        """A connection ended."""
        self._open.pop(conversation, None)

    async def handle_MAIL(
        self, _: SMTP, __: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """A mail begins. The sender may be empty, which aiosmtpd would take for none at all."""
        envelope.mail_from = address or "<>"
        envelope.mail_options.extend(options)
        return "250 2.1.0 go on"

    async def handle_RCPT(
        self, _: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """An address. Who tries many that are none is sent away."""
        if len(envelope.rcpt_tos) >= _MAX_RECIPIENTS:
            return "452 4.5.3 too many recipients, send the rest in another mail"
        unknown = getattr(session, "unknown", 0)
        if unknown >= _MAX_UNKNOWN:
            return "421 4.7.0 too many addresses that do not exist"
        try:
            integration = await self._find(_key(address), SCOPE)
        except TooManyUnknown:
            return _BUSY
        except UNAVAILABLE:
            return _AWAY
        if integration is None:
            session.unknown = unknown + 1  # type: ignore[attr-defined]
            return "550 5.1.1 there is no such address: it is <integration key>@"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 it is known"

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:
        """A whole mail."""
        raw = envelope.original_content or b""
        mail = await asyncio.to_thread(read_mail, raw) if len(raw) > _LARGE else read_mail(raw)
        if mail.ignored is not None:
            log.info("a mail is no report", extra={"reason": mail.ignored})
            return f"250 2.0.0 not taken as a report: {mail.ignored}"
        try:
            for address in dict.fromkeys(envelope.rcpt_tos):
                await self._take(mail, _key(address), len(raw))
        except (Overloaded, Problem):
            return _BUSY
        except Refused:
            return "554 5.6.0 the database refused a value in this mail"
        except UNAVAILABLE as error:
            log.warning("a mail was put off", extra={"error": type(error).__qualname__})
            return _AWAY
        return "250 2.0.0 committed"

    async def _take(self, mail: Mail, key: str, size: int) -> None:
        integration = await self._find(key, SCOPE)
        if integration is not None:  # it may have been revoked since
            self._admission.admit(_GATEWAY, integration)
            signal = signal_in(mail, integration.name, key, self._clock())
            await self._submit(integration.name, with_settings([signal], integration), size)

    async def handle_exception(self, error: Exception) -> str:
        """A fault of this program: the sender keeps the mail."""
        log.error("a mail failed", exc_info=error)
        return "451 4.3.0 something went wrong here, send it again"


def _key(address: str) -> str:
    """The integration key in an address: its local part, or the end of that after a plus."""
    return address.rpartition("@")[0].rpartition("+")[2].strip('"')
