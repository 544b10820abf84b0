"""Amazon SNS: its signature, the confirmation of a subscription, and what services of AWS publish,
read as a mapping says.
"""

import logging
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.responses import Response

from services.intake.gateways.domain.mapping import Received, signals_in
from services.intake.gateways.domain.sns import MAX_BODY_BYTES, Message, is_genuine, read_message
from services.intake.gateways.gateway import (
    BEARER_OR_BASIC,
    IN_PATH,
    Answer,
    Authentication,
    Body,
    Desk,
    Gateway,
    Route,
    Submission,
)
from services.intake.gateways.mapped import MappedAnswer, mapping_of
from shared.events.cloudevents import Malformed, load_json
from shared.http.app import JsonResponse, Problem

log = logging.getLogger(__name__)


async def respond(desk: Desk, submission: Submission) -> Response:
    """Check a message, and do what it is for. SNS sends again what was not answered: a confirmation
    may be repeated, and a notification has an id by which a repeat is recognised.
    """
    name, mapping = mapping_of(submission)
    message = read_message(submission.body)
    _check_topic(submission, message)
    certificate = await desk.download(message.certificate_url, lasting=True)
    if not is_genuine(message, certificate):
        raise Problem(403, "Forbidden", "Signature: does not fit the message", field="Signature")
    if message.type == "SubscriptionConfirmation":
        await _confirm(desk, message)
        return JsonResponse({"accepted": 0})
    if message.type == "UnsubscribeConfirmation":
        log.warning("SNS unsubscribed", extra={"integration": submission.integration.name})
        return JsonResponse({"accepted": 0})
    received = Received(
        origin=f"{submission.integration.name} sns {name}",
        body=_content(message),
        headers=[("x-amz-sns-message-id", message.id.encode())],
        query={},
        received_at=submission.received_at,
        trace=submission.trace,
    )
    signals = signals_in(name, mapping, received)
    if signals:
        await desk.submit(signals)
    return JsonResponse({"accepted": len(signals)})


def _check_topic(submission: Submission, message: Message) -> None:
    """AWS signs for every customer: the key says who may send, and the topic may be pinned."""
    signer = submission.policy.signers.get(submission.integration.name)
    if signer and signer.topics and message.topic not in signer.topics:
        raise Problem(
            403, "Forbidden", "TopicArn: is not a topic of this integration", field="TopicArn"
        )


async def _confirm(desk: Desk, message: Message) -> None:
    query = parse_qs(urlsplit(message.subscribe_url).query)
    if query.get("Action") != ["ConfirmSubscription"] or query.get("TopicArn") != [message.topic]:
        raise Malformed("SubscribeURL", "does not confirm a subscription of TopicArn")
    await desk.download(message.subscribe_url)


def _content(message: Message) -> Any:
    """The object in a message; of one that is text, an object with `message` and `topic`."""
    try:
        document = load_json(message.content.encode(), "Message", MAX_BODY_BYTES)
    except Malformed:
        document = None
    if isinstance(document, dict):
        return document
    return {"message": message.content, "topic": message.topic}


def _route(path: str, authentication: Authentication) -> Route:
    schema = {"description": "a message of SNS, raw message delivery off"}
    return Route(
        path=path,
        summary="Amazon SNS; the content of its messages is read as a mapping says.",
        bodies=[
            Body("text/plain", schema, MAX_BODY_BYTES),
            Body("application/json", schema, MAX_BODY_BYTES),
        ],
        respond=respond,
        answer=Answer(200, MappedAnswer),
        authentication=authentication,
    )


GATEWAY = Gateway(
    "sns",
    [_route("/v1/sns/{mapping}", BEARER_OR_BASIC), _route("/v1/sns/{mapping}/{key}", IN_PATH)],
)
