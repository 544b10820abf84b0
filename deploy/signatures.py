"""Whether a webhook is Tocsin's own: what every receiver of pages has to ask first."""

from collections.abc import Mapping

from standardwebhooks import Webhook, WebhookVerificationError


class Verifier:
    """Knows webhooks that are signed with any of these secrets, which have spaces between them."""

    def __init__(self, webhook_secrets: str) -> None:
        self._webhooks = [Webhook(secret) for secret in webhook_secrets.split()]

    def verifies(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether the signature holds, and is not too old."""
        lower = {name.lower(): value for name, value in headers.items()}
        return any(_verifies(webhook, lower, body) for webhook in self._webhooks)


def _verifies(webhook: Webhook, headers: dict[str, str], body: bytes) -> bool:
    try:
        webhook.verify(body, headers)
    except (WebhookVerificationError, ValueError):
        return False
    return True
