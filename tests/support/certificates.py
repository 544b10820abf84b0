"""Certificates for servers on loopback."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate; `path` is what SSL_CERT_FILE may name."""

    path: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        """What a server presents."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.path, self.key)
        return context


def self_signed(folder: Path, name: str = "IP:127.0.0.1", days: int = 1) -> Certificate:
    """A new certificate for one alternative name; with -1 days it has expired. Needs the `openssl`
    command.
    """
    made, request = Certificate(folder / "certificate.pem", folder / "key.pem"), folder / "request"
    _request(made.key, request)
    _openssl("x509", "-req", "-in", request, "-signkey", made.key, "-days", days,
             "-extfile", _extensions(folder, name), "-out", made.path)  # fmt: skip
    return made


def authority(folder: Path) -> Certificate:
    """A new private CA."""
    folder.mkdir()
    made = Certificate(folder / "ca.pem", folder / "ca.key")
    _openssl("req", "-x509", *_NEW_KEY, "-subj", "/CN=CA of the tests", "-days", 1,
             "-keyout", made.key, "-out", made.path)  # fmt: skip
    return made


def signed_by(ca: Certificate, folder: Path, name: str = "IP:127.0.0.1") -> Certificate:
    """A new certificate for one alternative name, signed by a CA."""
    folder.mkdir()
    made, request = Certificate(folder / "certificate.pem", folder / "key.pem"), folder / "request"
    _request(made.key, request)
    _openssl("x509", "-req", "-in", request, "-CA", ca.path, "-CAkey", ca.key, "-CAcreateserial",
             "-days", 1, "-extfile", _extensions(folder, name), "-out", made.path)  # fmt: skip
    return made


def _request(key: Path, request: Path) -> None:
    _openssl("req", *_NEW_KEY, "-subj", "/CN=tests", "-keyout", key, "-out", request)


def _extensions(folder: Path, name: str) -> Path:
    extensions = folder / "extensions"
    extensions.write_text(f"subjectAltName={name}\n")
    return extensions


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
