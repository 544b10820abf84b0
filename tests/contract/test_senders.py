"""docs/senders: what users paste works."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from services.intake.gateways.policy import SIGNATURES, read_mapping, read_signatures, shipped
from services.intake.signals.domain import AlertData
from tests.architecture.tree import ROOT
from tests.unit.intake.gateways.serving import KEY, Served, serving

PAGES = ROOT / "docs" / "senders"
LISTED = re.findall(r"\(senders/([\w-]+)\.md\)", (ROOT / "docs" / "senders.md").read_text())


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (PAGES / f"{page}.md").read_text(), re.DOTALL)


def test_every_mapping_has_a_page_that_names_it() -> None:
    for name in shipped().mappings:
        assert name in LISTED
        assert f"/{name}" in (PAGES / f"{name}.md").read_text()


def test_the_example_of_a_mapping_is_good() -> None:
    example, _ = blocks("mappings", "yaml")
    assert read_mapping("ours", example.encode()).about == "Our own monitoring"


@pytest.mark.parametrize("page", ["mappings", "grafana", "cloudwatch", "sns-message"])
def test_the_examples_of_secrets_are_good(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_SECRET", "GITHUB_SECRET_BEFORE", "GRAFANA_SECRET"):
        monkeypatch.setenv(f"TOCSIN_{name}", "a secret")
    example = blocks(page, "yaml")[-1]
    assert read_signatures(example.encode()).content.integrations, SIGNATURES


def read_by(text: str) -> set[str]:
    """The names of a body that the expressions of a mapping read."""
    return set(re.findall(r"\bbody\.(\w+)", text))


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("datadog", r'"(\w+)": "\$'),
        ("healthchecks-io", r'"(\w+)": "\$'),
        ("zabbix", r"\| `(\w+)` \| `\{"),
        ("icinga", r"(\w+): env\.|\$(service), |(state|output): \(if"),
        ("librenms", r'"(\w+)": [{"]'),
    ],
)
def test_a_body_that_users_paste_has_what_its_mapping_reads(name: str, pattern: str) -> None:
    page = (PAGES / f"{name}.md").read_text()
    sent = {next(filter(None, found.groups())) for found in re.finditer(pattern, page)}
    source = (ROOT / "services/intake/gateways/mappings" / f"{name}.yaml").read_text()
    others = {"last_updated", "url", "link", "id"}  # of other versions, and what users may add
    assert read_by(source) - sent <= others
    assert sent - read_by(source) == set()


async def run(api: Served, command: list[str], **environment: str) -> AlertData:
    """Runs a script of a page; the alert that it sent."""
    done = await asyncio.to_thread(
        subprocess.run,
        command,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    (signal,) = api.stored
    assert isinstance(signal.data, AlertData)
    return signal.data


async def test_the_script_for_checkmk_sends_an_alert(tmp_path: Path) -> None:
    (script,) = blocks("checkmk", "python")
    (tmp_path / "tocsin.py").write_text(script)
    async with serving() as api:
        sent = await run(
            api,
            [sys.executable, str(tmp_path / "tocsin.py")],
            NOTIFY_PARAMETER_1=f"{api.address}/v1/mapped/checkmk",
            NOTIFY_PARAMETER_2=KEY,
            NOTIFY_NOTIFICATIONTYPE="PROBLEM",
            NOTIFY_HOSTNAME="db1",
            NOTIFY_HOSTSTATE="DOWN",
            NOTIFY_HOSTOUTPUT="no answer",
        )
    assert (sent.key, sent.severity, sent.summary) == ("db1/(host)", "critical", "db1 no answer")


@pytest.mark.skipif(
    not (shutil.which("jq") and shutil.which("curl")), reason="the script needs jq and curl"
)
@pytest.mark.parametrize(
    ("service", "key", "summary"),
    [("disk", "db1/disk", "db1 disk 1 % free"), ("", "db1/(host)", "db1 no answer")],
)
async def test_the_script_for_icinga_sends_an_alert(
    tmp_path: Path, service: str, key: str, summary: str
) -> None:
    (script,) = blocks("icinga", "sh")
    (tmp_path / "key").write_text(KEY)
    async with serving() as api:
        own = script.replace("https://tocsin.example.com", api.address)
        own = own.replace("/etc/icinga2/tocsin-key", str(tmp_path / "key"))
        (tmp_path / "tocsin.sh").write_text(own)
        sent = await run(
            api,
            ["sh", str(tmp_path / "tocsin.sh")],
            type="PROBLEM",
            host="db1",
            host_state="DOWN",
            host_output="no answer",
            service=service,
            service_state="CRITICAL" if service else "",
            service_output="1 % free" if service else "",
        )
    assert (sent.key, sent.severity, sent.summary) == (key, "critical", summary)
