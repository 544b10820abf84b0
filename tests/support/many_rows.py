"""A database after a year of operation: a million incidents with everything that belongs to them, a
tenth of them open.
"""

import asyncio

import asyncpg

from services.escalation.policies.domain.snapshot import Snapshot
from services.escalation.policies.policy import EscalationPolicy
from services.escalation.response.domain.incident import Incident as Responding
from shared.events.escalation import Response
from shared.events.triage import Priority
from shared.postgres.connection import Connection
from shared.postgres.database import prepare
from shared.runtime.clock import system_clock

ROWS = 1_000_000
FEW = ROWS // 10
"""Number of rows that wait, and of things that are rarer than incidents."""
RARE_TEAM = "rare"
"""A team with three old incidents and no open one, so that a scan finds them last."""

# Properties of incident n that all tables share. Pages of open ones are unsent: receivers are slow.
_VIEWS = f"""
    CREATE TEMP VIEW year AS
    SELECT n, md5('incident ' || n)::uuid AS id,
           now() - interval '365 days' * (1 - n / {ROWS}.0) AS opened_at,
           n % 10 = 0 AS open, 'service-' || n * 7 % 300 AS service,
           CASE WHEN n IN (7, 77, 777) THEN '{RARE_TEAM}' ELSE 'team-' || n * 7 % 40 END AS team,
           '00-' || md5(n::text) || '-00f067aa0ba902b7-01' AS traceparent
    FROM generate_series(1, {ROWS}) AS n;
    CREATE TEMP VIEW few AS SELECT n FROM generate_series(1, {FEW}) AS n;
"""
_INTAKE = (
    """
    INSERT INTO incidents
    SELECT id, n, CASE WHEN open THEN 'open' ELSE 'closed' END, 'tests /probe',
           md5('fingerprint ' || n), 'disk full', 'error', NULL, service, '{}', '{}', '[]', 1, 1,
           opened_at, opened_at, opened_at, NULL, '["", ""]',
           'signal-' || n, 1, 1, opened_at, NULL, false, traceparent, NULL
    FROM year
    """,
    """
    INSERT INTO alerts
    SELECT id, '', open, CASE WHEN open THEN now() + interval '1 hour' END FROM year
    """,
    # All within the window in which repeats are recognised.
    """
    INSERT INTO signals
    SELECT 'tests /probe', 'signal-' || n, now() - (now() - opened_at) / 365 * 7, 'opened', id
    FROM year
    """,
    """
    INSERT INTO timers (kind, subject, due_at)
    SELECT 'expiry', md5('incident ' || n * 10)::uuid, now() + n * interval '1 s' FROM few
    """,
)
_TRIAGE = (
    "INSERT INTO incidents SELECT id, 1, 1, '{}', opened_at FROM year",
    """
    INSERT INTO requests
    SELECT md5('request ' || n)::uuid, 'team-' || n % 40, 'access', NULL, '[]', 'v', now() FROM few
    """,
)
_ESCALATION = (
    """
    INSERT INTO incidents
    SELECT id, n, CASE WHEN open THEN 'triggered' ELSE 'resolved' END, 1,
           CASE WHEN open THEN jsonb_set(template, '{response,incident_id}', to_jsonb(id))
                ELSE '{}' END,
           traceparent, NULL, opened_at
    FROM year, (SELECT current_setting('tests.template')::jsonb AS template) AS given
    """,
    # Forty receivers with two methods each; half of the waiting pages are due.
    """
    INSERT INTO deliveries
    SELECT id || '.1.1.user', id, 'user-' || n / 10 % 40,
           CASE WHEN n % 20 = 0 THEN 'email' ELSE 'webhook' END, 1, 1, '[]',
           CASE WHEN NOT open THEN 'sent' WHEN n % 200 = 0 THEN 'sending' ELSE 'pending' END, 1,
           now() + (n % 600 - 300) * interval '1 s', NULL, false, opened_at, opened_at, opened_at,
           NULL, NULL
    FROM year
    """,
    """
    INSERT INTO timers (kind, subject, due_at, payload)
    SELECT 'step', md5('incident ' || n * 10)::uuid, now() + n * interval '1 s',
           '{"round": 1, "step": 1}'
    FROM few
    """,
)
_REPORTING = (
    """
    INSERT INTO incidents
        (incident_id, sequence, intake_sequence, triage_sequence, escalation_sequence, trace_id,
         state, number, status, priority, team, opened_at, acknowledged_at, resolved_at)
    SELECT id, 1, 1, 1, 1, md5(n::text),
           jsonb_build_object('incident_id', id, 'number', n, 'status', status,
               'summary', 'disk full', 'service', service,
               'severity', 'error', 'priority', priority, 'team', team,
               'signal_count', 1, 'opened_at', opened_at, 'resolved_at', resolved_at),
           n, status, priority, team, opened_at,
           CASE WHEN status <> 'triggered' THEN opened_at + interval '5 min' END, resolved_at
    FROM (
        SELECT *,
               CASE WHEN NOT open THEN 'resolved' WHEN n % 20 = 0 THEN 'acknowledged'
                    ELSE 'triggered' END AS status,
               CASE WHEN NOT open THEN opened_at + interval '1 hour' END AS resolved_at,
               'P' || 1 + n / 10 % 5 AS priority
        FROM year
    ) AS incident
    """,
    """
    INSERT INTO timeline
    SELECT id, 'intake', 1, opened_at, 'IncidentReported', 'Reported: disk full', '{}', NULL, NULL
    FROM year
    """,
    """
    INSERT INTO audit
    SELECT 'tocsin.intake.v1', n % 12, n / 12, now(), NULL, NULL, '', '' FROM year
    """,
    """
    INSERT INTO changes
    SELECT md5('change ' || n)::uuid, 'service-' || n % 300, 'deployment', 'deployed', 'v1',
           'tests', '[]', now() - n * interval '5 min'
    FROM few
    """,
    """
    INSERT INTO requests
    SELECT md5('request ' || n)::uuid, 'access', NULL, 'ana', now() - n * interval '5 min',
           'team-1', '[]'
    FROM few
    """,
)
_BACKLOG = (
    "INSERT INTO outbox (topic, key, value, created_at) SELECT 'tests', 'key', '{}', now() FROM few"
)
SERVICES = ("intake", "triage", "escalation", "reporting")
_ROWS_OF = dict(zip(SERVICES, (_INTAKE, _TRIAGE, _ESCALATION, _REPORTING), strict=True))
# Indexes are built at the end, by REINDEX: inserting random keys into them would take minutes.
_WITHOUT_INDEXES = """
    UPDATE pg_index SET indisready = false FROM pg_class
    WHERE pg_class.oid = indrelid AND relnamespace = current_schema::regnamespace
"""
_TABLES_OF_SCHEMA = """
    SELECT string_agg(quote_ident(tablename), ', ') FROM pg_tables WHERE schemaname = current_schema
"""


async def fill(admin_dsn: str) -> None:
    """Fill the empty, migrated database of a superuser's DSN, each schema over a connection of its
    own.
    """
    async with asyncio.TaskGroup() as group:
        for service, statements in _ROWS_OF.items():
            group.create_task(_fill_schema(admin_dsn, service, (*statements, _BACKLOG)))


async def _fill_schema(admin_dsn: str, service: str, statements: tuple[str, ...]) -> None:
    connection: Connection = await asyncpg.connect(admin_dsn)
    try:
        await prepare(connection)
        # In the replica role, foreign keys are not checked row by row.
        await connection.execute(
            f"SET search_path = {service}; SET session_replication_role = replica; {_VIEWS}"
        )
        await connection.execute(
            "SELECT set_config('tests.template', $1, false)", response_template()
        )
        await connection.execute(_WITHOUT_INDEXES)
        tables = await connection.fetchval(_TABLES_OF_SCHEMA)
        for statement in (*statements, f"REINDEX SCHEMA {service}", f"VACUUM (ANALYZE) {tables}"):
            await connection.execute(statement)
    finally:
        await connection.close()


def response_template() -> str:
    """An incident as escalation stores it."""
    policy = EscalationPolicy.model_validate({"steps": [{"targets": ["user:ana"], "wait": "1h"}]})
    response = Response(
        incident_id="00000000-0000-0000-0000-000000000000",
        number=1,
        status="triggered",
        priority=Priority.P1,
        team="team-1",
        summary="disk full",
        step=1,
        round=1,
        waiting_on="ana",
        started_at=system_clock(),
        intake_sequence=1,
        triage_sequence=1,
        policy_version="v",
    )
    return Responding(
        response=response, policy=Snapshot(name="p", version="v", policy=policy)
    ).model_dump_json()
