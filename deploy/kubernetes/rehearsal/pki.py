"""The keys and certificates of the cluster, made anew for each rehearsal."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from deploy.kubernetes.rehearsal.shell import run


@dataclass(frozen=True)
class Pki:
    """A folder with an authority, a certificate for each component, and their kubeconfigs."""

    folder: Path
    server: str

    def path(self, name: str) -> str:
        """Of a file in the folder, such as `ca.crt` or `admin.conf`."""
        return str(self.folder / name)

    def make(self, node: str, *addresses: str) -> None:
        """Everything. The API server and the node's kubelet answer at `addresses`."""
        self.folder.mkdir(parents=True)
        self._authority()
        names = ",".join(
            [*(f"DNS:{name}" for name in _server_names(node)), *(f"IP:{one}" for one in addresses)]
        )
        self._certificate("apiserver", "/CN=kube-apiserver", names)
        self._certificate("apiserver-kubelet", "/O=system:masters/CN=kube-apiserver-kubelet-client")
        self._certificate("kubelet", f"/O=system:nodes/CN=system:node:{node}", names)
        self._certificate("admin", "/O=system:masters/CN=admin")
        self._certificate("controllers", "/CN=system:kube-controller-manager")
        self._certificate("scheduler", "/CN=system:kube-scheduler")
        for user in ("admin", "kubelet", "controllers", "scheduler"):
            self._kubeconfig(user)
        run("openssl", "genrsa", "-out", self.path("accounts.key"), "2048")
        run(
            *("openssl", "rsa", "-in", self.path("accounts.key")),
            *("-pubout", "-out", self.path("accounts.pub")),
        )

    def _authority(self) -> None:
        run(
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-subj", "/CN=rehearsal", "-days", "1"),
            *("-keyout", self.path("ca.key"), "-out", self.path("ca.crt")),
        )

    def _certificate(self, name: str, subject: str, names: str = "") -> None:
        extensions = "basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\n"
        if names:
            extensions += f"subjectAltName={names}\n"
        (self.folder / "extensions").write_text(extensions)
        request = self.path("request")
        run(
            *("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-subj", subject, "-keyout", self.path(f"{name}.key"), "-out", request),
        )
        run(
            *("openssl", "x509", "-req", "-in", request, "-days", "1", "-CAcreateserial"),
            *("-CA", self.path("ca.crt"), "-CAkey", self.path("ca.key")),
            *("-extfile", self.path("extensions"), "-out", self.path(f"{name}.crt")),
        )

    def _kubeconfig(self, user: str) -> None:
        cluster = {"server": self.server, "certificate-authority": self.path("ca.crt")}
        keys = {
            "client-certificate": self.path(f"{user}.crt"),
            "client-key": self.path(f"{user}.key"),
        }
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "rehearsal", "cluster": cluster}],
            "users": [{"name": user, "user": keys}],
            "contexts": [{"name": "rehearsal", "context": {"cluster": "rehearsal", "user": user}}],
            "current-context": "rehearsal",
        }
        (self.folder / f"{user}.conf").write_text(yaml.safe_dump(config))


def _server_names(node: str) -> Iterator[str]:
    yield from ("localhost", node)
    yield from ("kubernetes", "kubernetes.default", "kubernetes.default.svc")
