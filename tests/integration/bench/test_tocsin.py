"""The benchmark itself with a small workload, so that it works when it is needed."""

from pathlib import Path

from tests.bench.bare_loop import through_bare_loop
from tests.bench.candidate import candidate
from tests.bench.measured import inbox
from tests.bench.results import load, medians, ratios, save
from tests.bench.servers import Servers
from tests.bench.tocsin import NAME, through_tocsin
from tests.bench.workloads import Workload
from tests.support.version import THIS


async def test_a_run_accounts_for_every_alert_and_can_be_kept(
    kafka: str, postgres: str, tmp_path: Path
) -> None:
    """Two hundred alerts about a hundred things are a hundred pages; each alert has an incident."""
    workload = Workload("small", "two alerts about each of a hundred things", 200, 100)
    servers = Servers(kafka, postgres)
    async with candidate(postgres, NAME, THIS) as this, inbox() as receiver:
        ours = await through_tocsin(workload, servers, receiver, this)
    ceiling = await through_bare_loop(workload, servers)

    assert (ours.accepted, ours.refused) == (200, 0)
    assert (ours.delivered, ours.lost, ours.duplicated) == (100, 0, 0)
    assert (ceiling.accepted, ceiling.delivered, ceiling.lost) == (200, 100, 0)
    assert 0 < ours.p50_ms <= ours.p99_ms
    assert ours.costs["intake"].peak_mb > 0

    save(tmp_path / "runs.json", {}, [ours, ceiling])
    kept = load(tmp_path / "runs.json")
    assert kept == [ours, ceiling]
    assert medians(kept)["small", NAME].delivered == 100
    assert set(ratios(kept)) == {("small", "bare loop")}
