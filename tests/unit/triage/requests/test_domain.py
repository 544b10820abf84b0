"""Which team a service request goes to."""

from uuid import UUID

from services.triage.requests.domain import route
from shared.events.intake import ServiceRequest
from tests.unit.triage.priority.test_domain import CATALOGUE, NOON


def test_a_request_is_routed_to_the_owner_and_never_paged() -> None:
    request = ServiceRequest(
        request_id=UUID(int=2), source="form", summary="new key", service="search", received_at=NOON
    )
    routed = route(request, CATALOGUE)
    assert routed.team == "discovery"
    assert "never paged" in " ".join(routed.reasons)
