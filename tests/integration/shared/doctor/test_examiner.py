"""The doctor reads the certificates of all hosts of Postgres, and how much of its disk it needs."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import ByteSize, SecretStr

from shared.doctor.examiner import Examiner
from shared.doctor.findings import Finding
from shared.runtime.clock import system_clock
from shared.runtime.settings import Settings
from tests.support.certificates import authority
from tests.support.running import free_port
from tests.support.secured import Secured


async def examined(dsn: str) -> dict[str, Finding]:
    """What is found about hosts of Postgres, by the finding's subject."""
    kafka, disk = f"localhost:{free_port()}", ByteSize(4_000_000_000)
    settings = Settings(kafka=kafka, postgres=SecretStr(dsn), postgres_disk=disk)
    found = await Examiner(settings, ["intake"], [], system_clock, 3).examine()
    return {one.about: one for one in found if one.about.startswith("postgres")}


async def test_a_certificate_that_expires_soon_is_found(secured: Secured) -> None:
    found = await examined(secured.dsn("tocsin_intake", password="one"))
    one = found[f"postgres (localhost:{secured.port})"]
    days = {(datetime.now(UTC) + timedelta(days=n)).date().isoformat() for n in (0, 1)}
    assert (one.severity, one.fix) == ("warning", "renew it")
    assert any(one.text == f"its certificate expires on {day}" for day in days)
    needed = r"0\.\d GB of data and up to 1\.1 GB of write-ahead log: \d\d% of its 4\.0 GB"
    assert re.fullmatch(needed, found["postgres of intake"].text)


async def test_the_hosts_are_examined_one_by_one(secured: Secured) -> None:
    dsn = secured.dsn("tocsin_intake", password="one")
    gone = f"localhost:{free_port()}"
    found = await examined(dsn.replace("@", f"@{gone},"))
    assert found[f"postgres (localhost:{secured.port})"].severity == "warning"
    assert found["postgres"].severity == "problem"
    assert found["postgres"].text.startswith(f"{gone} does not answer")


async def test_a_server_that_is_not_trusted_is_said(secured: Secured, tmp_path: Path) -> None:
    other = authority(tmp_path / "other").path
    found = await examined(secured.dsn("tocsin_intake", password="one", sslrootcert=other))
    assert "is not trusted" in found["postgres"].text
    assert "sslrootcert" in found["postgres"].fix


async def test_a_certificate_that_nobody_verifies_proves_nothing(secured: Secured) -> None:
    address = f"localhost:{secured.port}"
    found = await examined(f"postgresql://tocsin_intake:one@{address}/tocsin?sslmode=require")
    one = found[f"postgres (localhost:{secured.port})"]
    assert one.text == "its certificate is not verified, so it may be anybody"
    assert "sslmode=verify-full" in one.fix
