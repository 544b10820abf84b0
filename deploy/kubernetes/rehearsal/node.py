"""A cluster of one node, in the namespaces of this process (see `isolation`)."""

import os
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from deploy.kubernetes.rehearsal.images import PAUSE
from deploy.kubernetes.rehearsal.pki import Pki
from deploy.kubernetes.rehearsal.shell import Failed, run, until

NODE = "rehearsal"
ADDRESS = "192.0.2.2"
"""Of the node, on an interface that leads nowhere: reserved for documentation (RFC 5737)."""
_BRIDGE, _PODS = "10.244.0.1", "10.244.0.0/24"
SERVICE_NETWORK = "10.96.0.0/16"
"""Of the addresses that Services get."""
_PATIENCE_SECONDS = 120


@dataclass
class Node:
    """`folder` is for this rehearsal alone; `binaries` has the programs."""

    folder: Path
    binaries: Path
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pki = Pki(self.folder / "pki", "https://127.0.0.1:6443")
        self.socket = self.folder / "containerd.sock"

    def start(self) -> None:
        """All components; returns when the node is ready for pods. Raises Failed."""
        (self.folder / "logs").mkdir(parents=True)
        self._network()
        self.pki.make(NODE, "127.0.0.1", "10.96.0.1", ADDRESS)
        self._start_containerd()
        self._start_control_plane()
        self._start_names()
        self._start_kubelet()
        self._start_proxy()
        kubectl = ("kubectl", "--kubeconfig", self.pki.path("admin.conf"))
        until("the node is there", lambda: run(*kubectl, "get", "node", NODE), _PATIENCE_SECONDS)
        run(*kubectl, "wait", "--for=condition=Ready", f"node/{NODE}", "--timeout=120s")

    def load(self, archive: Path) -> str:
        """Import an image, and let it be known by its digest, which is returned."""
        name = f"localhost/{archive.stem}"
        self._ctr("images", "import", archive)
        for line in self._ctr("images", "list").splitlines():
            reference, _, digest, *_ = line.split()
            if reference == f"{name}:rehearsal":
                self._ctr("images", "tag", "--force", reference, f"{name}@{digest}")
                return digest
        raise Failed(f"{archive.name} holds no image {name}:rehearsal")

    def keep_events(self) -> None:
        """Write what the cluster says of its objects to the logs, for somebody who looks later."""
        with suppress(Failed):
            events = run(
                *("kubectl", "--kubeconfig", self.pki.path("admin.conf"), "get", "events"),
                *("--all-namespaces", "--sort-by", ".lastTimestamp", "--output", "wide"),
            )
            (self.folder / "logs" / "events").write_text(events)

    def memory(self) -> dict[str, int]:
        """Resident bytes of each component."""
        return {
            name: int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * 4096
            for name, process in self.processes.items()
        }

    def _ctr(self, *arguments: str | Path) -> str:
        return run("ctr", "--address", self.socket, "--namespace", "k8s.io", *arguments)

    def _network(self) -> None:
        for command in (
            "ip link set lo up",
            "ip link add outside type bridge",
            f"ip addr add {ADDRESS}/24 dev outside",
            "ip link set outside up",
            "ip route add default dev outside",
            "ip link add cni0 type bridge",
            f"ip addr add {_BRIDGE}/24 dev cni0",
            "ip link set cni0 up",
            "sysctl -qw net.ipv4.ip_forward=1",
            # A client on loopback would take a port again after a second, and connection tracking
            # would still send it to the pod that it talked to then, which may be about to end.
            "sysctl -qw net.ipv4.tcp_tw_reuse=0",
        ):
            run(*command.split())

    def _start_containerd(self) -> None:
        networks = self.folder / "networks"
        networks.mkdir()
        (networks / "10-bridge.conflist").write_text(_NETWORK)
        settings = self.folder / "containerd.toml"
        settings.write_text(_CONTAINERD.format(folder=self.folder, socket=self.socket))
        self._spawn("containerd", "/usr/bin/containerd", "--config", settings)
        until("containerd answers", lambda: self._ctr("version"), _PATIENCE_SECONDS)
        self.load(self.folder / "images" / f"{PAUSE}.tar")

    def _start_control_plane(self) -> None:
        pki, store = self.pki.path, "http://127.0.0.1:2379"
        self._spawn(
            *("etcd", "etcd", "--data-dir", self.folder / "etcd", "--unsafe-no-fsync"),
            *("--listen-client-urls", store, "--advertise-client-urls", store),
            *("--listen-peer-urls", "http://127.0.0.1:2380", "--log-level", "warn"),
        )
        self._spawn(
            *("kube-apiserver", "kube-apiserver", f"--etcd-servers={store}"),
            *("--bind-address=127.0.0.1", "--secure-port=6443", f"--advertise-address={ADDRESS}"),
            *(f"--client-ca-file={pki('ca.crt')}", "--authorization-mode=Node,RBAC"),
            f"--tls-cert-file={pki('apiserver.crt')}",
            f"--tls-private-key-file={pki('apiserver.key')}",
            f"--kubelet-client-certificate={pki('apiserver-kubelet.crt')}",
            f"--kubelet-client-key={pki('apiserver-kubelet.key')}",
            f"--kubelet-certificate-authority={pki('ca.crt')}",
            "--kubelet-preferred-address-types=InternalIP",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={pki('accounts.pub')}",
            f"--service-account-signing-key-file={pki('accounts.key')}",
            f"--service-cluster-ip-range={SERVICE_NETWORK}",
            "--enable-admission-plugins=NodeRestriction",
        )
        ready = ("--kubeconfig", pki("admin.conf"), "get", "--raw", "/readyz")
        until("the API server is ready", lambda: run("kubectl", *ready), _PATIENCE_SECONDS)
        self._spawn(
            *("controllers", "kube-controller-manager", "--leader-elect=false"),
            *("--bind-address=127.0.0.1", "--use-service-account-credentials"),
            *(f"--kubeconfig={pki('controllers.conf')}", f"--root-ca-file={pki('ca.crt')}"),
            f"--service-account-private-key-file={pki('accounts.key')}",
        )
        self._spawn(
            *("scheduler", "kube-scheduler", "--leader-elect=false", "--bind-address=127.0.0.1"),
            f"--kubeconfig={pki('scheduler.conf')}",
        )

    def _start_names(self) -> None:
        corefile = self.folder / "Corefile"
        corefile.write_text(_COREFILE.format(address=_BRIDGE, pki=self.pki.folder))
        self._spawn("coredns", "coredns", "-conf", corefile)

    def _start_kubelet(self) -> None:
        settings = self.folder / "kubelet.yaml"
        settings.write_text(yaml.safe_dump(self._kubelet_settings()))
        (self.folder / "resolv.conf").write_text("")
        self._spawn(
            *("kubelet", "kubelet", "--config", settings, "--hostname-override", NODE),
            *("--kubeconfig", self.pki.path("kubelet.conf"), "--node-ip", ADDRESS),
            *("--root-dir", self.folder / "kubelet"),
        )

    def _kubelet_settings(self) -> dict[str, object]:
        pki = self.pki.path
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": ADDRESS,
            "authentication": {"x509": {"clientCAFile": pki("ca.crt")}},
            "tlsCertFile": pki("kubelet.crt"),
            "tlsPrivateKeyFile": pki("kubelet.key"),
            "containerRuntimeEndpoint": f"unix://{self.socket}",
            "cgroupDriver": "cgroupfs",
            "failCgroupV1": False,
            "failSwapOn": False,
            "oomScoreAdj": 0,
            "clusterDNS": [_BRIDGE],
            "clusterDomain": "cluster.local",
            "resolvConf": str(self.folder / "resolv.conf"),
            "podLogsDir": str(self.folder / "pods"),
            "imageGCHighThresholdPercent": 100,
            "evictionHard": {"memory.available": "50Mi", "nodefs.available": "0%",
                             "imagefs.available": "0%", "nodefs.inodesFree": "0%"},
        }  # fmt: skip

    def _start_proxy(self) -> None:
        self._spawn(
            *("kube-proxy", "kube-proxy", "--kubeconfig", self.pki.path("admin.conf")),
            *("--hostname-override", NODE, "--proxy-mode", "iptables"),
            *("--cluster-cidr", _PODS, "--conntrack-max-per-core", "0"),
            *(
                "--conntrack-tcp-timeout-established",
                "0",
                "--conntrack-tcp-timeout-close-wait",
                "0",
            ),
        )

    def _spawn(self, name: str, program: str | Path, *arguments: str | Path) -> None:
        path = os.pathsep.join([str(self.binaries), os.environ["PATH"]])
        with (self.folder / "logs" / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [shutil.which(program, path=path) or program, *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {"PATH": path},
            )


_NETWORK = """\
{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true, "ipam": {
    "type": "host-local", "ranges": [[{"subnet": "10.244.0.0/24"}]],
    "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
"""
_CONTAINERD = """\
version = 2
root = "{folder}/containerd"
state = "{folder}/containerd-state"
oom_score = 0
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/tocsin-pause:rehearsal"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder}/networks"
"""
_COREFILE = """\
.:53 {{
  bind {address}
  errors
  cache 5
  kubernetes cluster.local in-addr.arpa {{
    endpoint https://127.0.0.1:6443
    tls {pki}/admin.crt {pki}/admin.key {pki}/ca.crt
  }}
}}
"""
