"""Why an attempt to deliver a page failed, and when the next one follows."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

MAX_ATTEMPTS = 8
_FIRST_WAIT = timedelta(seconds=5)
_MAX_RETRY_AFTER = timedelta(minutes=5)
_JITTER = 0.2


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a page did not arrive. `error` is one of a few fixed texts: never an address, a URL or
    what the receiver answered.

    `final`: another attempt would fail as well. `uncertain`: the receiver may have taken the page
    all the same, so that a retry is a possible duplicate.
    """

    error: str
    final: bool = False
    uncertain: bool = False
    retry_after: timedelta | None = None


class NotDelivered(Exception):
    """Raised by a channel."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.error)
        self.failure = failure


def http_failure(status: int, retry_after: str | None, now: datetime) -> Failure | None:
    """None for 2xx, which alone means delivered. 5xx and 429 are retried; everything else is
    final.
    """
    if 200 <= status < 300:
        return None
    if status >= 500 or status == 429:
        return Failure(f"HTTP {status}", retry_after=_wait(retry_after, now))
    redirect = " (redirects are not followed)" if 300 <= status < 400 else ""
    return Failure(f"HTTP {status}{redirect}", final=True)


def smtp_failure(code: int) -> Failure:
    """The failure for an SMTP refusal (RFC 5321 4.2.1): 4yz is temporary, 5yz permanent."""
    if not 200 <= code < 600:
        return Failure("the answer of the mail server makes no sense", uncertain=True)
    return Failure(f"SMTP {code}", final=code >= 500)


def next_wait(failure: Failure, attempts: int, jitter: float) -> timedelta | None:
    """How long to wait after attempt number `attempts` failed; None: no attempt follows. `jitter`
    is in [0, 1).

    5 s, 10 s, 20 s ... 320 s, each off by up to a fifth: eight attempts over some ten minutes.
    """
    if failure.final or attempts >= MAX_ATTEMPTS:
        return None
    backoff: timedelta = _FIRST_WAIT * 2 ** (attempts - 1) * (1 + _JITTER * (2 * jitter - 1))
    return max(backoff, min(failure.retry_after or timedelta(), _MAX_RETRY_AFTER))


def _wait(header: str | None, now: datetime) -> timedelta | None:
    """Retry-After in either form (RFC 9110 10.2.3)."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return timedelta(seconds=int(header.strip()[:9]))
    try:
        wait: timedelta = parsedate_to_datetime(header) - now
    except (ValueError, TypeError):
        return None
    return wait
