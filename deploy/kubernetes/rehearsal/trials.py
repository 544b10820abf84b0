"""What is done to a running Tocsin, and what must hold."""

import asyncio
import json
import os
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from deploy.kubernetes.rehearsal.cluster import NAMESPACE
from deploy.kubernetes.rehearsal.installation import Installation
from deploy.kubernetes.rehearsal.load import Client, load, summary_of
from deploy.kubernetes.rehearsal.node import ADDRESS
from deploy.kubernetes.rehearsal.overlay import INBOX_PORT, SERVICES, secret_documents
from deploy.kubernetes.rehearsal.shell import Failed, until
from shared.http.server import listen
from shared.postgres.connecting import connect

_SETTLED_SECONDS = 120
_STEADY_SECONDS = 2
_NOTICED_SECONDS = 8  # in which a few probes find out that a pod is not ready


def demo(it: Installation, key: str) -> None:
    """`tocsin demo`, from outside of the cluster."""
    inbox = f"http://{ADDRESS}:{INBOX_PORT}"
    variables = {
        "TOCSIN_INTAKE_URL": it.url("intake"),
        "TOCSIN_CONSOLE_URL": it.url("reporting"),
        "TOCSIN_INBOX_URL": inbox,
        "TOCSIN_INTEGRATION_KEY": key,
        "TOCSIN_POSTGRES": it.dsn("reporting"),
    }
    with _inbox(it), it.figures.timed("`tocsin demo` passes, from outside of the cluster"):
        done = subprocess.run(
            [sys.executable, "-m", "shared.runtime.cli", "demo", "--remote"],
            env=os.environ | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Failed(f"the demo failed:\n{done.stdout}")


def canary(it: Installation) -> None:
    """The canary's pod waits for its key; with it, a round passes."""
    key = it.tocsin("intake", "intake", "keys", "create", "canary").split()[-1]
    with it.figures.timed("the canary has its key: its pod ready, and a round passed"):
        it.cluster.apply(secret_documents({"tocsin-canary": {"key": key}}))
        it.cluster.wait_until_ready("canary", seconds=_SETTLED_SECONDS)
        until("a round of the canary passes", lambda: _round_passed(it), _SETTLED_SECONDS)


def _round_passed(it: Installation) -> bool:
    log = it.cluster.kubectl("--namespace", NAMESPACE, "logs", "deployment/tocsin-canary")
    if "canary round passed" not in log:
        raise Failed(log)
    return True


async def kills(it: Installation, key: str) -> None:
    """A process and pods are killed under load; nothing that was accepted is lost."""
    await _under_load(
        it,
        key,
        "process of escalation killed",
        lambda: it.kill_process("escalation"),
        away={"escalation"},
    )
    await _under_load(it, key, "pod of triage deleted at once", lambda: it.delete_pod("triage"))
    await _under_load(it, key, "pod of Kafka deleted at once", lambda: it.delete_pod("kafka"))
    await _under_load(
        it,
        key,
        "pod of PostgreSQL deleted at once",
        lambda: it.delete_pod("postgres"),
        away={"intake", "escalation", "reporting"},
    )
    it.check_restarts(escalation=1)


async def rolling_update(it: Installation, key: str) -> None:
    """Every service is replaced under load, and no request fails."""

    def roll() -> None:
        for service in SERVICES:
            it.replace(service)

    await _under_load(it, key, "rolling update of all services", roll)


async def _under_load(
    it: Installation, key: str, what: str, disturb: Callable[[], None], away: Collection[str] = ()
) -> None:
    """Raises Failed when an accepted signal makes no incident, or a request fails to a service that
    is not `away` meanwhile.
    """
    clients = _clients(it, key, what)
    _forget_refused()
    began = monotonic()
    async with load(clients):
        await asyncio.sleep(_STEADY_SECONDS)
        await asyncio.to_thread(disturb)
        await asyncio.to_thread(it.wait_until_ready)
        seconds = monotonic() - began - _STEADY_SECONDS
        await asyncio.sleep(_NOTICED_SECONDS)
        await asyncio.to_thread(it.wait_until_ready)
    for client in clients:
        if client.failed and client.service not in away:
            few = f"{len(client.failed)} of {len(client.failed) + len(client.sent)}"
            first, last = client.failed[0], client.failed[-1]
            raise Failed(f"{what}: {client.service}: {few} failed, first {first}, last {last}")
    sent = sum(len(client.sent) for client in clients)
    failed = sum(len(client.failed) for client in clients)
    it.figures.note(f"{what}: ready again", f"{seconds:.1f} s")
    it.figures.note(f"{what}: requests answered, failed", f"{sent}, {failed}")
    began = monotonic()
    accepted = clients[0].sent
    await _reported(it, what, accepted)
    it.figures.note(
        f"{what}: all {len(accepted)} accepted signals reported as incidents",
        f"{monotonic() - began:.1f} s later",
    )


def _forget_refused() -> None:
    """Delete what connection tracking knows of connections that were refused in the trial before.

    A connection of the node to a port without endpoints is tracked, and then refused. For two
    minutes another one from the same port would follow it past the rules of kube-proxy, and be
    refused too, although there are endpoints again.
    """
    for state in ("SYN_SENT", "CLOSE"):  # the command fails where there are none
        command = ["conntrack", "--delete", "--proto", "tcp", "--state", state]
        subprocess.run(command, capture_output=True, check=False)


def _clients(it: Installation, key: str, what: str) -> list[Client]:
    token = it.secrets["tocsin-escalation-keys"]["api-token"]
    event = {"Content-Type": "application/cloudevents+json", "Authorization": f"Bearer {key}"}
    bearer = {"Authorization": f"Bearer {token}"}
    incidents = "/v1/incidents"
    newest = f"{it.url('reporting')}{incidents}?limit=1"
    number = until("the console answers", lambda: _read(newest), 60)["incidents"][0]["number"]
    return [
        Client("intake", "POST", f"{it.url('intake')}/v1/signals", event, what),
        Client("reporting", "GET", f"{it.url('reporting')}{incidents}?limit=1", {}),
        Client("escalation", "GET", f"{it.url('escalation')}{incidents}/INC-{number}", bearer),
    ]


def _read(url: str) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - always http
            return dict(json.load(answer))
    except OSError as error:
        raise Failed(f"{url}: {error}") from None


async def _reported(it: Installation, what: str, accepted: Collection[str]) -> None:
    """Wait until reporting has an incident for each accepted signal. Raises Failed, also when there
    are two for one.
    """
    deadline = monotonic() + _SETTLED_SECONDS
    connection = await connect(it.dsn(), "rehearsal")
    query = "SELECT reported ->> 'summary' FROM reporting.incidents WHERE reported IS NOT NULL"
    try:
        while True:
            found = Counter(row[0] for row in await connection.fetch(query))
            missing = [one for one in accepted if not found[summary_of(one)]]
            if doubled := [one for one in accepted if found[summary_of(one)] > 1]:
                raise Failed(f"{what}: two incidents for {doubled[0]}")
            if not missing:
                return
            if monotonic() > deadline:
                raise Failed(f"{what}: {len(missing)} accepted signals are lost: {missing[:3]}")
            await asyncio.sleep(0.2)
    finally:
        await connection.close()


@contextmanager
def _inbox(it: Installation) -> Iterator[None]:
    """The receiver of the pages, on the node."""
    listening = listen(ADDRESS, INBOX_PORT)
    os.set_inheritable(listening.fileno(), True)
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.local.inbox"],
        pass_fds=[listening.fileno()],
        env=os.environ
        | {
            "TOCSIN_HTTP_FD": str(listening.fileno()),
            "TOCSIN_SMTP": "smtp://127.0.0.1:18026",
            "TOCSIN_WEBHOOK_SECRET": it.secrets["tocsin-escalation-keys"]["webhook-secret"],
        },
    )
    try:
        url = f"http://{ADDRESS}:{INBOX_PORT}/readyz"
        until("the inbox answers", lambda: urllib.request.urlopen(url, timeout=5), 30)
        yield
    finally:
        process.terminate()
        process.wait()
        listening.close()
