"""What this machine's Tocsin takes and delivers a second, how late a page is, and what that costs.

The four services run as processes with their default settings on a real Kafka and PostgreSQL; the
load generator and the receiver of the pages are processes of their own. In between, round by round,
the bare loop (two durable hops that do nothing) gets the same events, and Alertmanager where it is
installed. Single figures swing with whatever else the machine does: compare the ratios.
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from rich.console import Console

from deploy.local.postgres import THROWAWAY
from tests.bench import alertmanager, profile
from tests.bench.bare_loop import through_bare_loop
from tests.bench.figures import Figures
from tests.bench.growth import SIZES, growth
from tests.bench.growth import show as show_growth
from tests.bench.measured import Inbox, inbox
from tests.bench.report import line, show, show_change
from tests.bench.results import load, machine, save
from tests.bench.servers import Servers
from tests.bench.tocsin import through_tocsin
from tests.bench.workloads import WORKLOADS, Workload
from tests.support.stack import kafka_server, postgres_server, template_database

System = Callable[[Workload], Awaitable[Figures]]


def systems(workload: Workload, servers: Servers, receiver: Inbox, alone: bool) -> list[System]:
    """Who runs a workload. A rate of pages is comparable where each alert is one."""
    chosen: list[System] = [partial(through_tocsin, servers=servers, receiver=receiver)]
    if alone:
        return chosen
    if workload.things == workload.events:
        chosen.append(partial(through_bare_loop, servers=servers))
    if not workload.topic and (program := alertmanager.program()):
        chosen.append(
            partial(alertmanager.through_alertmanager, executable=program, receiver=receiver)
        )
    return chosen


async def bench(
    servers: Servers, workloads: Sequence[Workload], rounds: int, alone: bool, console: Console
) -> list[Figures]:
    """Run all of it, round by round."""
    runs = []
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(inbox())
        if rounds > 1:
            console.log("warming up")
            for system in systems(workloads[0], servers, receiver, alone):
                await system(workloads[0].quick())
        for number in range(1, rounds + 1):
            for workload in workloads:
                console.log(f"round {number} of {rounds}: {workload.name}, {workload.title}")
                for system in systems(workload, servers, receiver, alone):
                    runs.append(await system(workload))
                    console.log(f"  {line(runs[-1])}")
    return runs


async def profiles(servers: Servers, workloads: Sequence[Workload], console: Console) -> None:
    """Where the time of each workload goes."""
    for workload in workloads:
        console.log(f"{workload.name}, {workload.title}")
        await profile.profile(workload, servers, console)


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    names = "; ".join(f"{workload.name}: {workload.title}" for workload in WORKLOADS.values())
    parser.add_argument(
        "--workload", action="append", choices=[*WORKLOADS, "b"], help=f"repeatable; {names}"
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help="of all systems, interleaved; medians are shown"
    )
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the alerts, one round, no targets"
    )
    parser.add_argument(
        "--sync", action="store_true", help="PostgreSQL waits for the disk at each commit"
    )
    parser.add_argument(
        "--alone", action="store_true", help="without the bare loop and without peers"
    )
    parser.add_argument(
        "--profile",
        action="store_true",
        help="instead: where the time goes (with sampling: slower)",
    )
    parser.add_argument(
        "--growth", action="store_true", help="instead: with many incidents open, and two replicas"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures")
    parser.add_argument(
        "--compare", type=Path, metavar="FILE", help="show what changed since such a file"
    )
    return parser.parse_args()


def main() -> None:
    """Start the servers, run, report."""
    given, console = options(), Console()
    wanted = given.workload or list(WORKLOADS)
    workloads = [
        w for w in WORKLOADS.values() if w.name in wanted or (w.name[0] == "b" and "b" in wanted)
    ]
    if given.quick:
        workloads = [workload.quick() for workload in workloads]
    about = machine() | {
        "commits": "wait for the disk" if given.sync else "do not wait for the disk"
    }
    console.print(", ".join(f"{name} {text}" for name, text in about.items()))
    if not alertmanager.program():
        console.print(
            "Alertmanager is not on PATH (Debian: prometheus-alertmanager): no peer in this run"
        )
    console.log("starting Kafka and PostgreSQL")
    settings = {**({} if given.sync else THROWAWAY), **(profile.SETTINGS if given.profile else {})}
    with (
        kafka_server() as kafka,
        postgres_server(settings) as postgres,
        template_database(postgres) as template,
    ):
        servers = Servers(kafka, postgres, template)
        if given.growth:
            return show_growth(
                console, asyncio.run(growth(servers, (0, 5_000) if given.quick else SIZES, console))
            )
        if given.profile:
            return asyncio.run(profiles(servers, workloads, console))
        runs = asyncio.run(
            bench(servers, workloads, 1 if given.quick else given.rounds, given.alone, console)
        )
    show(console, runs, judge=not given.quick)
    if given.json:
        save(given.json, about, runs)
    if given.compare:
        show_change(console, load(given.compare), runs)
    return None


if __name__ == "__main__":
    main()
