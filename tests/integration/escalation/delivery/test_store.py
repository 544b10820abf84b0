"""The delivery ledger on a real database."""

from tests.support.escalating import receiver, sending, world


async def test_an_incident_that_this_version_cannot_read_holds_up_nobody_elses_pages(
    database: str,
) -> None:
    async with receiver() as webhooks, world(database, webhooks.url) as it:
        newer, _ = await it.triaged(1, 2)
        await it.rows(
            """
            UPDATE incidents SET state = jsonb_set(state, '{response,status}', '"escaped"')
            WHERE id = $1
            """,
            newer,
        )
        async with sending(it):
            sent = await it.page("sent")
        assert (sent["incident_id"] != newer, len(webhooks.hits)) == (True, 1)
