"""Amazon SNS: signed by a key made here, everything else as AWS documents it."""

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from services.intake.gateways.domain.sns import read_message
from services.intake.gateways.policy import Signer
from shared.events.malformed import Malformed
from tests.unit.intake.builders import NOON
from tests.unit.intake.gateways import senders
from tests.unit.intake.gateways.serving import KEY, Served

TOPIC = "arn:aws:sns:us-west-2:123456789012:MyTopic"
CERTIFICATE = "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-01d0.pem"
SUBSCRIBE = (
    "https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription"
    f"&TopicArn={TOPIC}&Token=2336412f37"
)
PATH = f"/v1/sns/cloudwatch/{KEY}"
HEADERS = {"Content-Type": "text/plain; charset=UTF-8"}
Sign = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def sign(key: rsa.RSAPrivateKey, api: Served) -> Sign:
    """Signs as SNS does, with a certificate that can be fetched where SNS has it."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    builder = builder.public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(NOON).not_valid_after(NOON.replace(year=2027))
    api.downloads.documents[CERTIFICATE] = builder.sign(key, SHA256()).public_bytes(Encoding.PEM)

    def signed(version: str = "2", **message: Any) -> dict[str, Any]:
        algorithm = SHA256() if version == "2" else SHA1()  # noqa: S303 - what SNS signs with
        names = sorted(name for name in message if name not in ("UnsubscribeURL",))
        text = "".join(f"{name}\n{message[name]}\n" for name in names)
        signature = base64.b64encode(key.sign(text.encode(), PKCS1v15(), algorithm)).decode()
        about = {"SignatureVersion": version, "SigningCertURL": CERTIFICATE}
        return {**message, **about, "Signature": signature}

    return signed


def notification(state: str = "ALARM", **more: Any) -> dict[str, Any]:
    body, _ = senders.cloudwatch(state)
    return {
        "Type": "Notification",
        "MessageId": f"22b80b92-fdea-4c2c-8f9d-{state}",
        "TopicArn": TOPIC,
        "Subject": f'{state}: "cpu-mon" in EU (Frankfurt)',
        "Message": orjson.dumps(body).decode(),
        "Timestamp": "2026-03-01T11:58:01.000Z",
        **more,
    }


def confirmation(**more: Any) -> dict[str, Any]:
    return {
        "Type": "SubscriptionConfirmation",
        "MessageId": "165545c9-2a5c-472c-8df2-7ff2be2b3b1b",
        "Token": "2336412f37",
        "TopicArn": TOPIC,
        "Message": "You have chosen to subscribe to the topic.",
        "SubscribeURL": SUBSCRIBE,
        "Timestamp": "2026-03-01T11:58:01.000Z",
        **more,
    }


@pytest.mark.parametrize("version", ["1", "2"])
async def test_an_alarm_that_sns_signed_is_taken(api: Served, sign: Sign, version: str) -> None:
    for state in ("ALARM", "OK"):
        status, answer = await api.send(PATH, sign(version, **notification(state)), HEADERS)
        assert (status, answer) == (200, {"accepted": 1})
    first, second = api.stored
    assert first.data.summary == "cpu-mon"
    assert [getattr(one.data, "status", None) for one in api.stored] == ["firing", "resolved"]
    assert first.origin == second.origin == "tests sns cloudwatch"
    assert first.signal_id.startswith("22b80b92-fdea-4c2c-8f9d-ALARM")


async def test_a_message_without_subject_or_of_plain_text_is_taken(api: Served, sign: Sign) -> None:
    message = notification(Message="the queue is long")
    del message["Subject"]
    status, _ = await api.send(f"/v1/sns/sns-message/{KEY}", sign(**message), HEADERS)
    assert (status, api.stored[0].data.summary) == (200, "the queue is long")
    status, answer = await api.send(PATH, sign(**message), HEADERS)
    assert (status, answer["field"]) == (400, "body")


async def test_a_subscription_is_confirmed_where_sns_says(api: Served, sign: Sign) -> None:
    api.downloads.documents[SUBSCRIBE] = b"<ConfirmSubscriptionResponse/>"
    assert (await api.send(PATH, sign(**confirmation()), HEADERS))[0] == 200
    assert api.downloads.asked == [CERTIFICATE, SUBSCRIBE]
    assert api.stored == []


async def test_a_confirmation_that_fails_is_sent_again(api: Served, sign: Sign) -> None:
    assert (await api.send(PATH, sign(**confirmation()), HEADERS))[0] == 503
    api.downloads.documents.clear()
    assert (await api.send(PATH, sign(**notification()), HEADERS))[0] == 503


async def test_an_unsubscription_is_noted(api: Served, sign: Sign) -> None:
    message = confirmation(Type="UnsubscribeConfirmation")
    assert (await api.send(PATH, sign(**message), HEADERS))[0] == 200
    assert api.downloads.asked == [CERTIFICATE]


@pytest.mark.parametrize(
    "change",
    [
        {"Message": "another"},
        {"TopicArn": "arn:aws:sns:us-west-2:1:Other"},
        {"Subject": "another"},
        {"Timestamp": "2026-03-02T11:58:01.000Z"},
        {"Signature": base64.b64encode(b"x" * 256).decode()},
        {"Signature": ""},
        {"SignatureVersion": "1"},
    ],
)
async def test_what_sns_did_not_sign_is_forbidden(
    api: Served, sign: Sign, change: dict[str, str]
) -> None:
    status, answer = await api.send(PATH, sign(**notification()) | change, HEADERS)
    assert (status, answer["field"], api.stored) == (403, "Signature", [])


async def test_a_subscription_that_sns_did_not_sign_fetches_nothing(
    api: Served, sign: Sign
) -> None:
    message = sign(**confirmation()) | {"Token": "x"}
    assert (await api.send(PATH, message, HEADERS))[0] == 403
    assert api.downloads.asked == [CERTIFICATE]


async def test_a_topic_may_be_pinned(api: Served, sign: Sign) -> None:
    api.signers = {"tests": Signer(topics=("arn:aws:sns:us-west-2:1:Other",))}
    status, answer = await api.send(PATH, sign(**notification()), HEADERS)
    assert (status, answer["field"], api.downloads.asked) == (403, "TopicArn", [])
    api.signers = {"tests": Signer(topics=(TOPIC,))}
    assert (await api.send(PATH, sign(**notification()), HEADERS))[0] == 200


@pytest.mark.parametrize("field", ["SigningCertURL", "SubscribeURL"])
@pytest.mark.parametrize(
    "url",
    [
        "http://sns.us-west-2.amazonaws.com/x.pem",
        "https://sns.us-west-2.amazonaws.com.evil.example/x.pem",
        "https://evil.example/sns.us-west-2.amazonaws.com/x.pem",
        "https://sns.us-west-2.amazonaws.com@evil.example/x.pem",
        "https://user:x@sns.us-west-2.amazonaws.com/x.pem",
        "https://evil.example#sns.us-west-2.amazonaws.com/x.pem",
        "https://evil.example\\.sns.us-west-2.amazonaws.com/x.pem",
        "https://sns.us-west-2.amazonaws.com:8443/x.pem",
        "https://sns.us-west-2.amazonaws.com:99999/x.pem",
        "https://s3.us-west-2.amazonaws.com/x.pem",
        "https://sns.amazonaws.com/x.pem",
        "https://sns.a.b.amazonaws.com/x.pem",
        "https://sns.us-west-2.amazonaws.com.cn.evil/x.pem",
        "https://169.254.169.254/latest/meta-data/x.pem",
        "https://[::ffff:169.254.169.254]/x.pem",
        "https://localhost/x.pem",
        "//sns.us-west-2.amazonaws.com/x.pem",
        "file:///etc/x.pem",
        "https://sns.us-west-2.amazonaws.com\n.evil.example/x.pem",
        "",
    ],
)
async def test_nothing_but_an_address_of_sns_is_ever_fetched(
    api: Served, sign: Sign, field: str, url: str
) -> None:
    message = sign(**confirmation()) | {field: url}
    status, answer = await api.send(PATH, message, HEADERS)
    assert (status, answer["field"], api.downloads.asked) == (400, field, [])


async def test_a_subscription_to_something_else_is_not_confirmed(api: Served, sign: Sign) -> None:
    for url in (
        "https://sns.us-west-2.amazonaws.com/?Action=DeleteTopic&TopicArn=x",
        f"https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}x",
    ):
        status, answer = await api.send(PATH, sign(**confirmation(SubscribeURL=url)), HEADERS)
        assert (status, answer["field"]) == (400, "SubscribeURL")
    assert set(api.downloads.asked) == {CERTIFICATE}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (b"", "body"),
        (b"not json", "body"),
        (b"null", "body"),
        (b"[]", "body"),
        (b'"raw"', "body"),
        (b"7", "body"),
        (b"{}", "Type"),
        ({"Type": None}, "Type"),
        ({"Type": "Other"}, "Type"),
        ({"Type": 7}, "Type"),
        ({"Message": None}, "Message"),
        ({"Message": {"AlarmName": "x"}}, "Message"),
        ({"MessageId": None}, "MessageId"),
        ({"Subject": 7}, "Subject"),
        ({"Timestamp": None}, "Timestamp"),
        ({"TopicArn": ["x"]}, "TopicArn"),
        ({"SignatureVersion": "3"}, "SignatureVersion"),
        ({"SignatureVersion": None}, "SignatureVersion"),
        ({"Signature": "not base64!"}, "Signature"),
        ({"Signature": None}, "Signature"),
        ({"SigningCertURL": None}, "SigningCertURL"),
        ({"SigningCertURL": "https://sns.us-west-2.amazonaws.com/x.txt"}, "SigningCertURL"),
    ],
)
async def test_a_message_that_cannot_be_read_is_refused_by_its_field(
    api: Served, sign: Sign, change: Any, field: str
) -> None:
    body = change if isinstance(change, bytes) else sign(**notification()) | change
    status, answer = await api.send(PATH, body, HEADERS)
    assert (status, answer["field"], api.stored) == (400, field, [])


@pytest.mark.parametrize("certificate", [b"", b"not a certificate", b"-----BEGIN CERTIFICATE-----"])
async def test_what_is_no_certificate_proves_nothing(
    api: Served, sign: Sign, certificate: bytes
) -> None:
    api.downloads.documents[CERTIFICATE] = certificate
    assert (await api.send(PATH, sign(**notification()), HEADERS))[0] == 403


@given(
    st.dictionaries(
        st.sampled_from(["Type", *notification(), "SigningCertURL", "Signature"]),
        st.none() | st.integers() | st.text(max_size=30),
    )
)
def test_no_message_makes_it_fail(change: dict[str, Any]) -> None:
    signed = {"SignatureVersion": "1", "Signature": "", "SigningCertURL": CERTIFICATE}
    with suppress(Malformed):
        read_message(json.dumps(notification() | signed | change).encode())
