"""The command line of the benchmark."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tests.bench.workloads import WORKLOADS, Workload

_ABOUT = """
Measure what Tocsin accepts and delivers a second on this machine, how late a page is, and what
that costs. The four services run as processes with their default settings on a real Kafka and
PostgreSQL. The bare loop (two durable hops that do nothing) gets the same events in between, and so
does Alertmanager where it is installed. Single figures swing with whatever else the machine does:
compare the ratios.
"""


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=_ABOUT)
    _add_size(parser)
    _add_systems(parser)
    _add_files(parser)
    given = parser.parse_args(arguments)
    if given.against is not None and (given.profile or given.growth):
        parser.error("--against compares rounds: it goes with neither --profile nor --growth")
    given.rounds = given.rounds or _rounds(given)
    return given


def _rounds(given: argparse.Namespace) -> int:
    """Against a baseline an even number, so that each version begins as often as the other."""
    if given.against is not None:
        return 2 if given.quick else 4
    return 1 if given.quick else 3


def _add_size(parser: argparse.ArgumentParser) -> None:
    names = "; ".join(f"{workload.name}: {workload.title}" for workload in WORKLOADS.values())
    parser.add_argument(
        "--workload",
        action="append",
        choices=[*WORKLOADS, "b"],
        help=f"run only this one; may be repeated; {names}",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        metavar="N",
        help="how often everything runs, interleaved; default: 3, and 4 with --against",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a tenth of the alerts, no targets; by default one round, and 2 with --against",
    )


def _add_systems(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--against",
        metavar="COMMIT",
        help="also run this commit, round by round, and show the ratios to it",
    )
    parser.add_argument(
        "--alone", action="store_true", help="leave out the bare loop and Alertmanager"
    )
    parser.add_argument(
        "--sync", action="store_true", help="PostgreSQL waits for the disk at each commit"
    )
    parser.add_argument(
        "--profile",
        action="store_true",
        help="show where the time goes instead; this slows the services down",
    )
    parser.add_argument(
        "--growth",
        action="store_true",
        help="measure with many open incidents and with two replicas instead",
    )


def _add_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures in this file")
    parser.add_argument(
        "--compare", type=Path, metavar="FILE", help="show the change since such a file was written"
    )


def chosen(given: argparse.Namespace) -> list[Workload]:
    """The workloads to run. `b` means all that are paced."""
    wanted = given.workload or list(WORKLOADS)
    found = [w for w in WORKLOADS.values() if w.name in wanted or (w.rate and "b" in wanted)]
    return [workload.quick() for workload in found] if given.quick else found
