"""The figures that the benchmark computes from what generator and receiver noted."""

from tests.bench.figures import Figures, Receipt, figures
from tests.bench.generator import Sent
from tests.bench.workloads import Workload


def run(workload: Workload, delays: list[float]) -> Figures:
    """Alert n is sent after n hundredths of a second; its page arrives `delays[n]` s later."""
    at = [n / 100 for n in range(workload.events)]
    answered = [moment + 0.001 for moment in at]
    sent = Sent(at, answered, taken=[True] * len(at), cpu_seconds=0, peak_mb=0)
    receipts = [Receipt(at[n] + delay, n) for n, delay in enumerate(delays)]
    return figures("ours", workload, sent, receipts, {})


def test_while_a_paced_run_settles_its_delays_do_not_count_and_all_else_does() -> None:
    paced = run(Workload("paced", "", 100, 100, rate=100), [3.0] * 10 + [0.02] * 90)
    assert (paced.p50_ms, paced.p99_ms) == (20, 20)
    assert (paced.accepted, paced.delivered, paced.lost) == (100, 100, 0)


def test_a_page_that_never_came_is_lost_also_while_it_settles() -> None:
    assert run(Workload("paced", "", 100, 100, rate=100), [0.02] * 99).lost == 1


def test_as_fast_as_it_goes_every_delay_counts() -> None:
    fast = run(Workload("fast", "", 100, 100), [3.0] * 10 + [0.02] * 90)
    assert (fast.p50_ms, fast.p99_ms) == (20, 3_000)
