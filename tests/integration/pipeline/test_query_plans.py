"""The services work on a database with a year of data: no statement scans a big table.

No statement is copied here. The services' own code runs and Postgres reports its plans: a new
statement is checked as well, and a store function that nothing here calls fails the test.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from types import CodeType

import asyncpg
import pytest

from services.escalation.delivery import store as ledger
from services.escalation.response import store as escalation_store
from services.intake.incidents.store import alerts as intake_alerts
from services.intake.incidents.store import incidents as intake_incidents
from services.intake.integrations import store as intake_integrations
from services.intake.signals import store as intake_signals
from services.reporting.audit import store as audit
from services.reporting.figures import store as figures
from services.reporting.timeline.store import changes, entries, incidents, lists, requests
from services.triage.priority import store as triage_store
from services.triage.requests import store as requests_store
from shared.kafka.consumption import offsets
from shared.postgres import aging, outbox, timers
from shared.runtime.clock import system_clock
from tests.support import many_rows, stack
from tests.support.day_of_work import run_all_sql, tocsin
from tests.support.plans import (
    BIG,
    Plan,
    Plans,
    WatchedDatabase,
    list_big_tables,
    recorded_calls,
    report_plans,
)
from tests.support.stack import runtime_dsn

MAX_ROWS_READ = 2 * BIG
"""Rows that a statement may read. Reading a partial index of 10,000 rows as a whole is fine."""
MORE_ROWS_READ = {
    "retention": 2 * many_rows.FEW,  # 2 MiB of a table once a day, and all timers
    "figures": many_rows.ROWS // 8,  # covers the incidents of 30 days
    "board": many_rows.ROWS // 8,  # has the figures, and counts open incidents
    "verify": many_rows.ROWS,  # reads the whole log, page by page
}
STORES = (
    intake_integrations,
    intake_signals,
    intake_alerts,
    intake_incidents,
    triage_store,
    requests_store,
    escalation_store,
    ledger,
    audit,
    changes,
    entries,
    figures,
    incidents,
    lists,
    requests,
    aging,
    outbox,
    timers,
    offsets,
)


@pytest.fixture(scope="module")
def year(postgres: str, template: str) -> Iterator[str]:
    """Admin DSN of a database with a million incidents."""
    dsn = asyncio.run(stack.clone_database(postgres, template))
    asyncio.run(many_rows.fill(dsn))
    yield dsn
    asyncio.run(stack.drop_database(postgres, stack.name_of(dsn)))


@pytest.mark.parametrize("plan_cache_mode", ["force_custom_plan", "force_generic_plan"])
async def test_no_statement_scans_a_big_table(year: str, plan_cache_mode: str) -> None:
    await report_plans(year, plan_cache_mode)
    big = await list_big_tables(year)
    with recorded_calls(functions_with_sql()) as called:
        async with tocsin(year) as system:
            await run_all_sql(system)
    assert ("intake", "incidents") in big
    assert len(system.plans.collected) > 200
    tables = {table for _, table in big}
    faults = {fault for plan in system.plans.collected for fault in faults_of(plan, tables)}
    assert not faults, "\n".join(sorted(faults))
    unused = [code.co_qualname for code in functions_with_sql() if code not in called]
    assert not unused, f"these were not run: add them to the day's work: {unused}"


@pytest.mark.parametrize("plan_cache_mode", ["force_custom_plan", "force_generic_plan"])
async def test_the_backlog_of_one_person_is_not_read_to_send_its_first_pages(
    postgres: str, template: str, plan_cache_mode: str
) -> None:
    """The planner does not know how many pages are wanted, nor that all of them are for one
    person.
    """
    async with backlog_of_ana(postgres, template, 3 * BIG) as dsn:
        await report_plans(dsn, plan_cache_mode)
        plans, now = Plans(), system_clock()
        database = WatchedDatabase(runtime_dsn(dsn, "escalation"), plans)
        async with database.transaction() as connection:
            lease = now + timedelta(minutes=1)
            claims = await ledger.claim_deliveries(
                connection, now, lease, {("ana", "webhook"): 8}, 1, 200
            )
            assert await ledger.cancel_abandoned(connection, now)
            assert await ledger.load_next_due(connection)
        await database.close()
    assert len(claims) == 8
    statements = [plan for plan in plans.collected if "deliveries" in plan.statement]
    assert len(statements) == 3
    assert [plan for plan in statements if plan.rows_read() > 200] == []


@asynccontextmanager
async def backlog_of_ana(postgres: str, template: str, pages: int) -> AsyncIterator[str]:
    """Admin DSN of a database where this many pages to Ana are due."""
    dsn = await stack.clone_database(postgres, template)
    admin = await asyncpg.connect(dsn, server_settings={"search_path": "escalation"})
    try:
        await admin.execute(
            """
            WITH incident AS (
                INSERT INTO incidents
                SELECT gen_random_uuid(), n, 'triggered', 1, $2::jsonb, 'none', NULL, now()
                FROM generate_series(1, $1::bigint) AS n RETURNING id, number
            )
            INSERT INTO deliveries (attempt_key, incident_id, user_id, method, step, round, why,
                                    due_at, created_at)
            SELECT id || '.1.1.ana.webhook', id, 'ana', 'webhook', 1, 1, '[]',
                   now() - number * interval '1 ms', now()
            FROM incident
            """,
            pages,
            many_rows.response_template(),
        )
        await admin.execute("VACUUM (ANALYZE) incidents, deliveries")
        yield dsn
    finally:
        await admin.close()
        await stack.drop_database(postgres, stack.name_of(dsn))


def functions_with_sql() -> list[CodeType]:
    return [
        function.__code__
        for module in STORES
        for name, function in inspect.getmembers(module, inspect.iscoroutinefunction)
        if function.__module__ == module.__name__
        and "connection" in inspect.signature(function).parameters
    ]


def faults_of(plan: Plan, big: set[str]) -> Iterator[str]:
    where = f"{plan.task}: {plan.statement[:300]}"
    for table in plan.scanned() & big:
        yield f"reads all of {table}: {where}"
    if plan.rows_sorted() > BIG:
        yield f"sorts {plan.rows_sorted():,} rows: {where}"
    if plan.rows_read() > MORE_ROWS_READ.get(plan.task, MAX_ROWS_READ):
        yield f"reads {plan.rows_read():,} rows in {plan.milliseconds:.0f} ms: {where}"
