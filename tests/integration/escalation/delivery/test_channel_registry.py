"""A channel of another distribution: nothing in Tocsin is edited for it, and its pages go out."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module, invalidate_caches
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from services.escalation.app import open_channels
from services.escalation.delivery.channel_registry import ChannelRegistry
from services.escalation.delivery.channels import email
from services.escalation.delivery.policy import check
from shared.runtime.clock import system_clock
from shared.runtime.settings import SettingsError, load_settings
from tests.support.escalating import sending, world
from tests.support.teams import teams_of

MODULE = '''
"""Pages by carrier pigeon."""

from pydantic import BaseModel, Field

from services.escalation.delivery.channel import Channel
from shared.policy.secrets import must_be_reference

FLIGHTS = []


class PigeonSettings(BaseModel):
    pigeon_loft: str | None = Field(default=None, min_length=3)


class PigeonTransport:
    def __init__(self, loft):
        self.loft = loft

    async def send(self, notice, address, trace):
        FLIGHTS.append((self.loft, address, notice.subject, notice.order.attempt_key))

    async def close(self):
        FLIGHTS.append("home")


CHANNEL = Channel(
    name="pigeon",
    field="roof",
    check=lambda address, _: None if address.startswith("roof ") else "write `roof` and its number",
    settings=PigeonSettings,
    open=lambda settings, _: settings.pigeon_loft and PigeonTransport(settings.pigeon_loft),
    rule=must_be_reference,
)
'''
TEAMS = """
default_policy: payments
users:
  zoe: {name: Zoe, roof: "${TOCSIN_ZOES_ROOF}"}
policies:
  payments: {steps: [{targets: ["user:zoe"], wait: 1m}]}
"""


@pytest.fixture
def pigeon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module of a distribution that is installed beside Tocsin."""
    (tmp_path / "carrier_pigeon.py").write_text(MODULE)
    metadata = tmp_path / "carrier_pigeon-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: carrier-pigeon\nVersion: 1.0\n"
    )
    entry = "[tocsin.channels]\npigeon = carrier_pigeon:CHANNEL\n"
    (metadata / "entry_points.txt").write_text(entry)
    monkeypatch.syspath_prepend(str(tmp_path))
    invalidate_caches()
    monkeypatch.setenv("TOCSIN_ZOES_ROOF", "roof 7")
    yield import_module("carrier_pigeon")
    del sys.modules["carrier_pigeon"]


async def test_a_page_goes_out_by_a_channel_of_another_distribution(
    database: str, pigeon: Any, monkeypatch: pytest.MonkeyPatch, spans: InMemorySpanExporter
) -> None:
    monkeypatch.setenv("TOCSIN_PIGEON_LOFT", "east")
    channels = ChannelRegistry.load()
    transports = open_channels(channels, load_settings(), system_clock)
    assert transports.keys() == {"pigeon"}, "the others have no settings"
    async with world(database, "http://127.0.0.1:9") as it:
        it.channels, it.transports = channels, dict(transports)
        it.teams = teams_of(TEAMS, channels)
        assert it.sender().problems() == []
        async with sending(it):
            await it.triaged(1042)
            row = await it.page("sent")
    assert row["method"] == "pigeon"
    assert pigeon.FLIGHTS[0] == ("east", "roof 7", "[P1] INC-1042 disk full", row["attempt_key"])
    assert "home" in pigeon.FLIGHTS, "the transport was closed"
    assert "page pigeon" in {span.name for span in spans.get_finished_spans()}


def test_the_policy_check_knows_it(
    pigeon: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def errors(text: str) -> list[str]:
        (tmp_path / "teams.yaml").write_text(text)
        return [str(error) for error in check(tmp_path)]

    assert errors(TEAMS) == []
    monkeypatch.setenv("TOCSIN_ZOES_ROOF", "cellar")
    assert errors(TEAMS) == ["teams.yaml:4: `users.zoe.roof`: write `roof` and its number"]
    (literal,) = errors(TEAMS.replace("${TOCSIN_ZOES_ROOF}", "roof 7"))
    assert literal.startswith("teams.yaml:4: `users.zoe.roof`: a secret must not be written")
    (unknown,) = errors(TEAMS.replace("roof:", "rooof:").replace("name: Zoe", "email: z@x"))
    assert unknown == "teams.yaml:4: the key `name` is missing; add `name:`"
    unknown, *_ = errors(TEAMS.replace("roof:", "rooof:"))
    assert unknown == "teams.yaml:4: unknown key `rooof`; did you mean `roof`?"


def test_a_wrong_setting_of_a_channel_is_named(
    pigeon: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOCSIN_PIGEON_LOFT", "e")
    with pytest.raises(SettingsError, match="TOCSIN_PIGEON_LOFT"):
        open_channels(ChannelRegistry.load(), load_settings(), system_clock)


def test_a_setting_of_a_channel_can_come_from_a_file(
    pigeon: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "loft").write_text("east\n")
    monkeypatch.setenv("TOCSIN_PIGEON_LOFT_FILE", str(tmp_path / "loft"))
    opened: Any = open_channels(ChannelRegistry.load(), load_settings(), system_clock)
    assert opened["pigeon"].loft == "east"
    (tmp_path / "loft").unlink()
    with pytest.raises(SettingsError, match=r"TOCSIN_PIGEON_LOFT_FILE: .* cannot be read"):
        open_channels(ChannelRegistry.load(), load_settings(), system_clock)


def test_channels_of_this_package_are_found() -> None:
    assert {channel.name for channel in ChannelRegistry.load()} >= {"email", "webhook"}


@pytest.mark.parametrize("changes", [{"field": "letter"}, {"name": "letter"}])
def test_two_channels_of_one_name_or_field_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="second channel"):
        ChannelRegistry([email.CHANNEL, replace(email.CHANNEL, **changes)])
