"""Signatures of bodies."""

import base64
import hashlib
import hmac
from datetime import timedelta

import pytest

from services.intake.gateways.domain.signature import Signature
from tests.unit.intake.builders import NOON

BODY = b'{"status":"firing"}'
PLAIN = Signature(header="X-Grafana-Alerting-Signature")
TIMED = PLAIN.model_copy(update={"timestamp_header": "X-Grafana-Alerting-Timestamp"})


def signed(body: bytes, secret: bytes = b"secret") -> bytes:
    return hmac.new(secret, body, hashlib.sha256).hexdigest().encode()


def timed(at: float, body: bytes = BODY) -> list[tuple[str, bytes]]:
    stamp = str(int(at)).encode()
    signature = ("X-Grafana-Alerting-Signature", signed(stamp + b":" + body))
    return [signature, ("X-Grafana-Alerting-Timestamp", stamp)]


def test_a_body_that_a_secret_signed_is_good() -> None:
    headers = [("x-grafana-alerting-signature", signed(BODY))]
    assert PLAIN.fault(["other", "secret"], headers, BODY, NOON) is None
    assert PLAIN.fault(["other"], headers, BODY, NOON) is not None
    assert PLAIN.fault(["secret"], headers, BODY + b" ", NOON) is not None
    assert PLAIN.fault(["secret"], headers * 2, BODY, NOON) is not None


@pytest.mark.parametrize(
    ("seconds", "good"), [(0, True), (-299, True), (301, False), (-9e8, False)]
)
def test_with_a_time_a_signature_is_good_for_five_minutes(seconds: float, good: bool) -> None:
    at = (NOON + timedelta(seconds=seconds)).timestamp()
    fault = TIMED.fault(["secret"], timed(at), BODY, NOON)
    assert (fault is None) == good
    if fault:
        assert fault[0] == "X-Grafana-Alerting-Timestamp"


def test_a_time_that_was_not_signed_is_refused() -> None:
    stamp = ("X-Grafana-Alerting-Timestamp", str(int(NOON.timestamp())).encode())
    headers = [("X-Grafana-Alerting-Signature", signed(BODY)), stamp]
    assert TIMED.fault(["secret"], headers, BODY, NOON) is not None
    odd = [headers[0], ("X-Grafana-Alerting-Timestamp", b"\xb2")]
    assert TIMED.fault(["secret"], odd, BODY, NOON) is not None
    assert TIMED.fault(["secret"], headers[:1], BODY, NOON) is not None


@pytest.mark.parametrize("form", ["{hex}", "sha256={hex}", "{base64}", "v1,{base64}"])
def test_the_form_is_as_the_sender_writes_it(form: str) -> None:
    rule = Signature(header="X-Signature", format=form)
    digest = hmac.digest(b"secret", BODY, "sha256")
    value = form.replace("{hex}", digest.hex())
    value = value.replace("{base64}", base64.b64encode(digest).decode())
    assert rule.fault(["secret"], [("x-signature", value.encode())], BODY, NOON) is None


@pytest.mark.parametrize("form", ["", "hex", "{hex}{base64}", "{0}", "{hex!r}", "{hex:>9}", "{x}"])
def test_a_form_without_the_hmac_is_refused(form: str) -> None:
    with pytest.raises(ValueError, match="format"):
        Signature(header="X-Signature", format=form)
