"""What this machine's Tocsin does a second, and how long a page takes: `python -m tests.bench --help`."""

import argparse
import asyncio
from collections.abc import Sequence

from rich.console import Console

from tests.bench.figures import Figures
from tests.bench.measured import inbox
from tests.bench.report import show
from tests.bench.tocsin import Servers, through_tocsin
from tests.bench.workloads import WORKLOADS, Workload
from tests.support.stack import kafka_server, postgres_server, template_database


async def bench(servers: Servers, workloads: Sequence[Workload], rounds: int, console: Console) -> list[Figures]:
    """Run all of it, round by round."""
    results = []
    async with inbox() as receiver:
        for number in range(1, rounds + 1):
            for workload in workloads:
                console.log(f"round {number}/{rounds}: {workload.name}, {workload.title}")
                results.append(await through_tocsin(workload, servers, receiver))
                show(console, results[-1:])
    return results


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--workload", action="append", choices=sorted(WORKLOADS), help="only this one (repeatable)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a tenth of the alerts, one round")
    options = parser.parse_args()
    chosen = [WORKLOADS[name] for name in options.workload or WORKLOADS]
    workloads = [workload.quick() for workload in chosen] if options.quick else chosen
    rounds = 1 if options.quick else options.rounds
    console = Console()
    console.log("starting Kafka and PostgreSQL")
    with kafka_server() as kafka, postgres_server() as postgres, template_database(postgres) as template:
        show(console, asyncio.run(bench(Servers(kafka, postgres, template), workloads, rounds, console)))


if __name__ == "__main__":
    main()
