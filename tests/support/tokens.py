"""Signed tokens (JWT, RS256), as an identity provider or Kubernetes issues them."""

import base64
import json
import subprocess
import time
from pathlib import Path

ISSUER = "https://issuer.example"
AUDIENCE = "kafka"


class Issuer:
    """Has a key, and publishes its public half as a JWKS file. Needs the `openssl` command."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._key, self.jwks = folder / "key.pem", folder / "jwks.json"
        _openssl("genrsa", "-out", self._key, "2048")
        said = _openssl("rsa", "-in", self._key, "-noout", "-modulus").decode()
        modulus = bytes.fromhex(said.strip().removeprefix("Modulus="))
        key = {"kty": "RSA", "kid": "1", "alg": "RS256", "use": "sig"}
        key |= {"n": _encoded(modulus), "e": _encoded(b"\x01\x00\x01")}
        self.jwks.write_text(json.dumps({"keys": [key]}))

    def token(self, subject: str, seconds: int = 600) -> str:
        """A token for a subject. Of a time in the past if `seconds` is negative."""
        now = int(time.time())
        times = {"iat": min(now, now + seconds - 60), "exp": now + seconds}
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, **times}
        parts = {"alg": "RS256", "kid": "1", "typ": "JWT"}, claims
        signed = ".".join(_encoded(json.dumps(part).encode()) for part in parts)
        command = ["openssl", "dgst", "-sha256", "-sign", str(self._key)]
        done = subprocess.run(command, input=signed.encode(), check=True, capture_output=True)
        return f"{signed}.{_encoded(done.stdout)}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _openssl(*arguments: object) -> bytes:
    command = ["openssl", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True).stdout
