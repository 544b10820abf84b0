"""What the benchmark makes of what generator and receiver noted."""

from tests.bench.figures import Figures, Receipt, figures
from tests.bench.generator import Sent
from tests.bench.workloads import Workload


def run(workload: Workload, delays: list[float]) -> Figures:
    """Alert n is sent in the nth hundredth of a second, and its page comes after `delays[n]` seconds."""
    at = [n / 100 for n in range(workload.events)]
    sent = Sent(sent=at, answered=[moment + 0.001 for moment in at], taken=[True] * len(at), cpu_seconds=0, peak_mb=0)
    return figures("ours", workload, sent, [Receipt(at[n] + delay, n) for n, delay in enumerate(delays)], {})


def test_while_a_paced_run_settles_its_delays_do_not_count_and_all_else_does() -> None:
    paced = run(Workload("paced", "", 100, 100, rate=100), [3.0] * 10 + [0.02] * 90)
    assert (paced.p50_ms, paced.p99_ms) == (20, 20)
    assert (paced.accepted, paced.delivered, paced.lost) == (100, 100, 0)


def test_a_page_that_never_came_is_lost_also_while_it_settles() -> None:
    assert run(Workload("paced", "", 100, 100, rate=100), [0.02] * 99).lost == 1


def test_as_fast_as_it_goes_every_delay_counts() -> None:
    fast = run(Workload("fast", "", 100, 100), [3.0] * 10 + [0.02] * 90)
    assert (fast.p50_ms, fast.p99_ms) == (20, 3_000)
