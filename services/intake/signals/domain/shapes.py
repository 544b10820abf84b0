"""The shapes of secrets: regular expressions in the syntax of RE2, and checks of what they match.
Where a pattern has a group `secret`, that is what must not be kept.
"""

from itertools import accumulate

TOKEN = "|".join(
    (
        r"\bgh[opsur]_[A-Za-z0-9]{36,}",  # GitHub
        r"\bgithub_pat_\w{22,}",
        r"\bgl(?:pat|ptt|dt|rt|cbt)-[\w-]{20,}",  # GitLab
        r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",  # Slack
        r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",  # AWS
        r"\bAIza[\w-]{35}",  # Google
        r"\bya29\.[\w-]{20,}",
        r"\b(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}",  # Stripe
        r"\bsk-[\w-]{20,}",  # OpenAI, Anthropic
        r"\bnpm_[A-Za-z0-9]{36}\b",
        r"\bpypi-[\w-]{50,}",
        r"\bdop_v1_[0-9a-f]{64}",  # DigitalOcean
        r"\bhv[bsr]\.[\w-]{24,}",  # Vault
        r"\bglsa_\w{32,64}",  # Grafana
        r"\bSG\.[\w-]{16,64}\.[\w-]{16,64}",  # SendGrid
        r"\btocsin_[0-9a-z]{6,32}_[\w-]{20,100}",
        r"\bwhsec_[A-Za-z0-9+/=]{24,}",  # Standard Webhooks
        r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*",  # JSON Web Tokens
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\w+/=\s\\]*(?:-----END [A-Z ]*-----)?",
    )
)
SLACK_WEBHOOK = r"hooks\.slack\.com/services/(?P<secret>[\w/]{20,})"
URL_CREDENTIALS = r"://[^\s/:@]*:(?P<secret>[^\s/@\[]+)@"
CREDENTIALS = r"(?i)\b(?:bearer|basic)[ \t]+(?P<secret>[\w.~+/-]{16,}={0,2})"
ASSIGNMENT = (
    r"(?i)(?:password|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key)"
    r"""["']?[ \t]*(?P<sign>[=:])[ \t]*["']?(?P<secret>[^\s,;&"'`\[\]{}()<>]{4,})"""
)
CARD_NUMBER = r"\b[0-9](?:[ -]?[0-9]){12,}\b"
EMAIL = r"[\p{L}\p{N}._%+-]+@(?P<domain>(?:[\p{L}\p{N}-]+\.)+\p{L}{2,24})\b"

_NO_DOMAINS = frozenset({"service", "socket", "timer", "mount", "slice", "scope", "target", "swap"})
_ISSUERS = ("2", "3", "4", "5", "6")
_SHORTEST, _LONGEST = 13, 19
_SHORTEST_GROUP = 3


def is_credential(text: str, _: str) -> bool:
    """Whether what follows `Bearer` is no word of a sentence."""
    return any(character.isdigit() for character in text)


def is_assigned(text: str, sign: str) -> bool:
    """Whether what follows `password` is one: a word behind a colon may be part of a sentence."""
    return sign == "=" or not text.isalpha()


def is_address(text: str, domain: str) -> bool:
    """Whether it is for mail: units of systemd and repositories on SSH look alike."""
    ending = domain.rpartition(".")[2].lower()
    return ending not in _NO_DOMAINS and not text.startswith("git@")


def card_numbers(text: str) -> list[tuple[int, int]]:
    """Where in digits with single spaces or dashes between them there are numbers of payment cards:
    whole groups of digits, 13 to 19 in all, that an issuer may have given, with a valid check
    digit.
    """
    groups = text.replace("-", " ").split(" ")
    ends = list(accumulate(len(group) + 1 for group in groups))
    found, first = list[tuple[int, int]](), 0
    while first < len(groups):
        last = _last_of_card(groups, first)
        if last is None:
            first += 1
            continue
        found.append((ends[first] - len(groups[first]) - 1, ends[last] - 1))
        first = last + 1
    return found


def _last_of_card(groups: list[str], first: int) -> int | None:
    digits = ""
    for last in range(first, len(groups)):
        digits += groups[last]
        if len(groups[last]) < _SHORTEST_GROUP or len(digits) > _LONGEST:
            return None
        if len(digits) >= _SHORTEST and digits.startswith(_ISSUERS) and is_checked(digits):
            return last
    return None


def is_checked(digits: str) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812-1, Luhn)."""
    total = 0
    for place, character in enumerate(reversed(digits)):
        digit = int(character) * (1 + place % 2)
        total += digit - 9 if digit > 9 else digit
    return total % 10 == 0
