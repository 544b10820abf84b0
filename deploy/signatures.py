"""Verification of signed webhooks, which every receiver of pages needs."""

from collections.abc import Mapping

from standardwebhooks import Webhook, WebhookVerificationError


class Verifier:
    """Accepts webhooks signed with any of the secrets, which are separated by spaces."""

    def __init__(self, webhook_secrets: str) -> None:
        self._webhooks = [Webhook(secret) for secret in webhook_secrets.split()]

    def verifies(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether the signature is valid and recent."""
        lower = {name.lower(): value for name, value in headers.items()}
        return any(_verifies(webhook, lower, body) for webhook in self._webhooks)


def _verifies(webhook: Webhook, headers: dict[str, str], body: bytes) -> bool:
    try:
        webhook.verify(body, headers)
    except (WebhookVerificationError, ValueError):
        return False
    return True
