"""The benchmark: `python -m tests.bench --help`."""

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence

from rich.console import Console

from deploy.local.postgres import THROWAWAY
from tests.bench import alertmanager, profile
from tests.bench.against import show_against
from tests.bench.baseline import Baseline, NoBaseline, current_commit, install
from tests.bench.candidate import candidates
from tests.bench.figures import Figures
from tests.bench.growth import SIZES, growth
from tests.bench.growth import show as show_growth
from tests.bench.options import chosen, options
from tests.bench.report import show, show_change
from tests.bench.results import load, machine, save
from tests.bench.rounds import run_rounds
from tests.bench.servers import Servers
from tests.bench.tocsin import NAME
from tests.support.stack import kafka_server, postgres_server
from tests.support.version import THIS, Version


def main() -> None:
    """Start the servers, run, report."""
    given, console = options(), Console()
    baseline = _baseline(given, console)
    about = _about(given, baseline)
    console.print(", ".join(f"{name} {text}" for name, text in about.items()))
    if not alertmanager.program():
        console.print("Alertmanager is not on PATH (Debian: prometheus-alertmanager): left out")
    versions = {NAME: THIS} | ({baseline.name: baseline.version} if baseline else {})
    console.log("starting Kafka and PostgreSQL")
    with kafka_server() as kafka, postgres_server(_settings(given)) as postgres:
        runs = asyncio.run(_run(given, Servers(kafka, postgres), versions, console))
    if runs:
        _report(given, about, runs, baseline, console)


def _baseline(given: argparse.Namespace, console: Console) -> Baseline | None:
    """The commit to compare with, installed."""
    if given.against is None:
        return None
    try:
        return install(given.against, console.log)
    except NoBaseline as error:
        sys.exit(f"bench: {error}")


def _about(given: argparse.Namespace, baseline: Baseline | None) -> dict[str, str]:
    """What has to be known about the figures."""
    commits = "wait for the disk" if given.sync else "do not wait for the disk"
    about = machine() | {"commits": commits, "version": current_commit()}
    return about | ({"against": baseline.commit} if baseline else {})


def _settings(given: argparse.Namespace) -> dict[str, str]:
    """The settings of PostgreSQL."""
    return {**({} if given.sync else THROWAWAY), **(profile.SETTINGS if given.profile else {})}


async def _run(
    given: argparse.Namespace, servers: Servers, versions: Mapping[str, Version], console: Console
) -> Sequence[Figures]:
    """Do what is asked for; the figures of all rounds, if there are rounds."""
    workloads = chosen(given)
    async with candidates(servers.postgres, versions) as made:
        if given.growth:
            sizes = (0, 5_000) if given.quick else SIZES
            show_growth(console, await growth(servers, made[0], sizes, console))
            return []
        if given.profile:
            await profile.profile_all(workloads, servers, made[0], console)
            return []
        return await run_rounds(servers, made, workloads, given.rounds, given.alone, console)


def _report(
    given: argparse.Namespace,
    about: dict[str, str],
    runs: Sequence[Figures],
    baseline: Baseline | None,
    console: Console,
) -> None:
    show(console, runs, judge=not given.quick)
    if baseline:
        show_against(console, runs, NAME, baseline.name)
    if given.json:
        save(given.json, about, runs)
    if given.compare:
        show_change(console, load(given.compare), runs)


if __name__ == "__main__":
    main()
