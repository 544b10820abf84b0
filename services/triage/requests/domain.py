"""Which team a service request goes to."""

from services.triage.catalogue.domain import find_owner
from services.triage.catalogue.policy import Catalogue
from shared.events.intake import ServiceRequest
from shared.events.triage import RequestRouted
from shared.policy.files import PolicyFile


def route(request: ServiceRequest, catalogue: PolicyFile[Catalogue]) -> RequestRouted:
    """A service request goes to the owner of its service."""
    owner = find_owner(request.service, request.labels, catalogue.content)
    return RequestRouted(
        request=request,
        request_id=request.request_id,
        team=owner.team,
        reasons=[owner.reason, "a service request is routed, never paged"],
        policy_version=catalogue.version,
    )
