"""The outage that `tocsin demo` plays, using public interfaces only: intake's HTTP, the inbox, the
links in pages and the API.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp

REPEATS = 40

Json = dict[str, Any]
Wait = Callable[[str, Callable[[], Awaitable[Any]]], Awaitable[Any]]


class Refused(Exception):
    """The response to a request was not 2xx; the text quotes it."""


FAILURES = (Refused, aiohttp.ClientError, TimeoutError)


@dataclass(frozen=True)
class Script:
    """What differs between runs, so that each has an incident and a trace of its own."""

    version: str = field(default_factory=lambda: f"2.14.0-{secrets.token_hex(3)}")
    trace_id: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def summary(self) -> str:
        """The summary by which the incident is found."""
        return f"checkout {self.version}: 18 % of requests answer 500"

    @property
    def traceparent(self) -> str:
        """The parent span of the first alert."""
        return f"00-{self.trace_id}-{secrets.token_hex(8)}-01"


@dataclass
class Evidence:
    """What was observed: incidents and figures from reporting's API, pages from the inbox."""

    incidents: list[Json] = field(default_factory=list)
    incident: Json = field(default_factory=dict)
    pages: list[Json] = field(default_factory=list)
    link_page: str = ""
    incident_after_opening_link: Json = field(default_factory=dict)
    figures: Json = field(default_factory=dict)


class Outage:
    """One run, which collects `evidence`. `variables` are those of `.local/env`."""

    def __init__(
        self, http: aiohttp.ClientSession, variables: Mapping[str, str], script: Script
    ) -> None:
        self.script = script
        self.evidence = Evidence()
        self._http = http
        self._variables = variables
        self._started = datetime.now(UTC)

    async def play(self, wait: Wait) -> None:
        """Play it from deployment to resolution. `wait` polls until a named step is done."""
        await wait("a deployment of checkout is recorded as a change", self._deploy)
        trace = f"traceparent {self.script.traceparent}"
        await wait(f"Alertmanager reports that checkout is failing ({trace})", self._begin)
        await wait("an incident is opened", self._opened)
        await wait("ana is paged and does not respond", lambda: self._paged("ana"))
        await wait(f"Alertmanager repeats it {REPEATS} times", self._repeat)
        page = await wait("ben, the target of step 2, is paged", lambda: self._paged("ben"))
        await wait(f"all {REPEATS + 1} alerts have joined the incident", self._joined)
        link = page["links"]["acknowledge_url"]
        await wait(
            "ben opens the link in his page: it shows one button and changes nothing",
            lambda: self._open_link(link),
        )
        await wait("ben presses the button", lambda: self._call("POST", link))
        await wait("the incident is acknowledged", lambda: self._is("acknowledged"))
        await wait(
            "Alertmanager reports that the alert has resolved", lambda: self._alert("resolved")
        )
        await wait("the incident is resolved", lambda: self._is("resolved"))

    async def gather(self) -> None:
        """Read all evidence again. Raises FAILURES."""
        newest = await self._read("/v1/incidents?limit=200")
        self.evidence.incidents = [
            i for i in newest["incidents"] if i["summary"] == self.script.summary
        ]
        if self.evidence.incidents:
            await self._load_incident()
            await self._read_pages()
            self.evidence.figures = await self._read("/v1/metrics?days=30")

    async def _deploy(self) -> Json:
        event = {
            "specversion": "1.0",
            "id": self.script.version,
            "source": "/demo/pipeline",
            "type": "tocsin.signals.Change",
            "time": self._started.isoformat(),
            "data": {
                "service": "checkout",
                "version": self.script.version,
                "summary": "new payment client",
            },
        }
        return await self._send(
            "/v1/signals", event, {"Content-Type": "application/cloudevents+json"}
        )

    async def _begin(self) -> Json:
        return await self._alert("firing", {"traceparent": self.script.traceparent})

    async def _repeat(self) -> bool:
        for _ in range(REPEATS):
            await self._alert("firing")
        return True

    async def _alert(self, status: str, headers: Mapping[str, str] | None = None) -> Json:
        labels = {
            "alertname": "CheckoutErrors",
            "service": "checkout",
            "version": self.script.version,
        }
        alert = {
            "status": status,
            "labels": {**labels, "severity": "critical"},
            "annotations": {"summary": self.script.summary},
            "startsAt": self._started.isoformat(),
            "endsAt": datetime.now(UTC).isoformat()
            if status == "resolved"
            else "0001-01-01T00:00:00Z",
            "fingerprint": self.script.version,
        }
        group = ", ".join(f'{name}="{value}"' for name, value in labels.items())
        notification = {
            "version": "4",
            "groupKey": f"{{}}:{{{group}}}",
            "status": status,
            "receiver": "tocsin",
        }
        content = {"groupLabels": labels, "commonLabels": alert["labels"], "alerts": [alert]}
        return await self._send("/v1/alertmanager", {**notification, **content}, headers or {})

    async def _opened(self) -> bool:
        await self.gather()
        return bool(self.evidence.incidents)

    async def _paged(self, user: str) -> Json | None:
        await self._read_pages()
        return next((page for page in self.evidence.pages if page["to"] == f"/pages/{user}"), None)

    async def _joined(self) -> bool:
        await self._load_incident()
        return bool(self.evidence.incident["signal_count"] > REPEATS)

    async def _open_link(self, link: str) -> bool:
        self.evidence.link_page = await self._call("GET", link)
        await self._load_incident()
        self.evidence.incident_after_opening_link = self.evidence.incident
        return True

    async def _is(self, status: str) -> bool:
        await self._load_incident()
        return bool(self.evidence.incident["status"] == status)

    async def _load_incident(self) -> None:
        self.evidence.incident = await self._read(
            f"/v1/incidents/{self.evidence.incidents[0]['incident_id']}"
        )

    async def _read_pages(self) -> None:
        number = f"INC-{self.evidence.incidents[0]['number']} "
        messages = await self._json("GET", f"{self._variables['TOCSIN_INBOX_URL']}/messages")
        self.evidence.pages = [message for message in messages if number in message["subject"]]

    async def _read(self, path: str) -> Json:
        return dict(await self._json("GET", self._variables["TOCSIN_CONSOLE_URL"] + path))

    async def _send(self, path: str, document: Json, headers: Mapping[str, str]) -> Json:
        key = {"Authorization": f"Bearer {self._variables['TOCSIN_INTEGRATION_KEY']}"}
        url = self._variables["TOCSIN_INTAKE_URL"] + path
        return dict(await self._json("POST", url, json=document, headers={**key, **headers}))

    async def _json(self, method: str, url: str, **request: Any) -> Any:
        async with self._http.request(method, url, **request) as response:
            await _raise_for_status(response)
            return await response.json()

    async def _call(self, method: str, url: str) -> str:
        async with self._http.request(method, url) as response:
            await _raise_for_status(response)
            return await response.text()


async def _raise_for_status(response: aiohttp.ClientResponse) -> None:
    if response.status >= 300:
        request, text = f"{response.method} {response.url.path}", (await response.text())[:300]
        raise Refused(f"{request} answered {response.status}: {text}")
