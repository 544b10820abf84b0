"""What a page says."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.escalation.policies.domain.page_order import PageOrder
from services.escalation.response.domain.incident import Incident
from shared.events.text import shorten

_MAX_LINE = 200
_NOT_SAID = ("attempt_key", "incident_id", "method")


@dataclass(frozen=True, slots=True)
class Notice:
    """One page to one person, complete but for the address. The links are secrets: never stored or
    logged.
    """

    order: PageOrder
    incident: Incident
    acknowledge_url: str
    resolve_url: str
    console_url: str
    trace_id: str | None
    at: datetime

    @property
    def subject(self) -> str:
        """One line: priority, number and summary."""
        response = self.incident.response
        return one_line(f"[{response.priority}] INC-{response.number} {response.summary}")

    @property
    def text(self) -> str:
        """The whole page as plain text."""
        response = self.incident.response
        lines = [
            one_line(response.summary),
            "",
            f"Incident  INC-{response.number}, {response.priority}",
            f"Service   {one_line(response.service or 'unknown')}",
            f"Team      {response.team}",
            f"Runbook   {self.incident.runbook or 'none'}",
            "",
            *self._alerts(),
            f"Acknowledge  {self.acknowledge_url}",
            f"Resolve      {self.resolve_url}",
            f"Console      {self.console_url}",
            "",
            "Why you were paged:",
            *(f"- {one_line(reason)}" for reason in self.order.why),
            "",
            f"Trace  {self.trace_id or 'none'}",
        ]
        return "\n".join(lines) + "\n"

    def _alerts(self) -> list[str]:
        lines = [one_line(line) for line in self.incident.alerts.lines()]
        return [*lines, ""] if lines else []

    @property
    def data(self) -> dict[str, Any]:
        """The page as values, for channels that send structured bodies."""
        response, alerts = self.incident.response, self.incident.alerts
        values = self.order.values()
        order = {name: value for name, value in values.items() if name not in _NOT_SAID}
        return {
            "incident_id": str(response.incident_id),
            "incident": f"INC-{response.number}",
            "summary": response.summary,
            "service": response.service,
            "priority": response.priority,
            "team": response.team,
            "runbook": self.incident.runbook,
            "alerts_total": alerts.total,
            "alerts_firing": alerts.firing,
            "alerts_unlisted": alerts.unlisted,
            "alerts": [alert.model_dump() for alert in alerts.listed],
            "flapping": alerts.flapping,
            **order,
            "acknowledge_url": self.acknowledge_url,
            "resolve_url": self.resolve_url,
            "console_url": self.console_url,
            "trace_id": self.trace_id,
        }


def one_line(text: str) -> str:
    """Text of others in one line: it can neither make a header nor move a cursor."""
    printable = "".join(c if c.isprintable() else " " for c in text)
    return shorten(" ".join(printable.split()), _MAX_LINE)
