"""A real Kubernetes control plane for tests: etcd, kube-apiserver and kube-controller-manager on loopback.

Three processes with certificates and data of their own under one temporary folder. They are started in order, each
waited for by its own readiness, and ended by pid; on Linux they also end when the test process dies, so that nothing is
left behind after a kill. There is no node: objects are accepted, defaulted, garbage-collected and served, pods do not
run.

`Cluster.start()` raises `ClusterFailed` with the end of the log of the part that did not come up.
"""

import ctypes
import json
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml

from harness.certificates import Authority, Pair, signing_pair
from kube.assets.chain import Found, ensure, version_of

READY_SECONDS = 60.0
SERVICE_RANGE = "10.0.0.0/24"
PR_SET_PDEATHSIG = 1
Json = dict[str, Any]


class ClusterFailed(Exception):
    """A part of the control plane did not come up or ended by itself."""


class KubectlFailed(Exception):
    """kubectl ended with a status other than 0; `output` holds what it said."""

    def __init__(self, command: list[str], output: str) -> None:
        super().__init__(f"{' '.join(command)}: {output}")
        self.output = output


@dataclass(slots=True)
class Cluster:
    """One running control plane and the ways tests talk to it."""

    folder: Path
    binaries: Mapping[str, Found]
    server: str
    authority: Authority
    admin: Pair
    version: str
    processes: list[tuple[str, "subprocess.Popen[bytes]"]] = field(default_factory=list)

    @classmethod
    def start(cls, *, report: Callable[[str], None]) -> Self:
        """Bring a control plane up on free ports; stopped by `stop`."""
        binaries = ensure(report=report)
        folder = Path(tempfile.mkdtemp(prefix="stepwell-kube-"))
        authority = Authority.create(folder, name="kubernetes-ca")
        cluster = cls(
            folder=folder,
            binaries=binaries,
            server=f"https://127.0.0.1:{_free_port()}",
            authority=authority,
            admin=authority.client("admin", group="system:masters"),
            version=version_of(binaries["kube-apiserver"].path),
        )
        try:
            cluster._start_parts()
        except BaseException:
            cluster.stop()
            raise
        return cluster

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.folder / "kubeconfig"

    @property
    def source(self) -> str:
        """Where the API server's binary came from."""
        return self.binaries["kube-apiserver"].source

    def stop(self) -> None:
        """End every part, last started first, and remove what they wrote."""
        for _, process in reversed(self.processes):
            # Nothing here is worth a graceful end, which takes the API server many seconds.
            process.kill()
            process.wait()
        self.processes.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop_api_server(self) -> None:
        """As by a crash; what it has stored stays in etcd."""
        process = self._part("kube-apiserver")
        process.kill()
        process.wait()

    def start_api_server(self) -> None:
        """Start it again, on the same address, and wait until it is ready."""
        command = [str(word) for word in self._part("kube-apiserver").args]  # type: ignore[union-attr]
        self.processes = [each for each in self.processes if each[0] != "kube-apiserver"]
        self._run(command[0].rpartition("/")[2], *command[1:])
        self._wait("kube-apiserver", self._api_server_is_ready)

    def kubectl(self, *arguments: str, input: str | None = None, kubeconfig: Path | None = None) -> str:
        """Run kubectl as the administrator (or as `kubeconfig` says) and give its output; raises KubectlFailed."""
        done = self.try_kubectl(*arguments, input=input, kubeconfig=kubeconfig)
        if done.returncode != 0:
            raise KubectlFailed(["kubectl", *arguments], done.stdout + done.stderr)
        return done.stdout

    def try_kubectl(
        self, *arguments: str, input: str | None = None, kubeconfig: Path | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run kubectl and give its result, whatever it is."""
        command = [str(self.binaries["kubectl"].path), "--kubeconfig", str(kubeconfig or self.kubeconfig)]
        command += ["--cache-dir", str(self.folder / "discovery"), *arguments]
        return subprocess.run(command, input=input, capture_output=True, text=True, check=False, timeout=120)

    def get(self, resource: str, name: str, *, namespace: str) -> Json:
        """One object as the API server has it; raises KubectlFailed when it is not there."""
        found: Json = json.loads(self.kubectl("get", resource, name, "-n", namespace, "-o", "json"))
        return found

    def list(self, resource: str, *, namespace: str) -> list[Json]:
        """Every object of a resource in a namespace."""
        items: list[Json] = json.loads(self.kubectl("get", resource, "-n", namespace, "-o", "json"))["items"]
        return items

    def apply(self, *objects: Json, namespace: str | None = None) -> str:
        """`kubectl apply` of objects given as data."""
        arguments = ["apply", "-f", "-", *(["-n", namespace] if namespace else [])]
        return self.kubectl(*arguments, input=yaml.safe_dump_all(objects))

    def kubeconfig_of_service_account(self, name: str, *, namespace: str) -> Path:
        """A kubeconfig that holds nothing but a fresh token of that service account."""
        token = self.kubectl("create", "token", name, "-n", namespace).strip()
        path = self.folder / f"{namespace}-{name}.kubeconfig"
        path.write_text(self._kubeconfig({"token": token}))
        return path

    def _start_parts(self) -> None:
        front_proxy = Authority.create(self.folder, name="front-proxy-ca")
        front_proxy_client = front_proxy.client("front-proxy-client")
        tokens = signing_pair(self.folder, name="service-accounts")
        serving = self.authority.server(
            "kube-apiserver",
            names=("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "127.0.0.1", "10.0.0.1"),
        )
        controllers = self.authority.client("system:kube-controller-manager")
        self.kubeconfig.write_text(self._kubeconfig(_certificate_user(self.admin)))
        controllers_config = self.folder / "kube-controller-manager.kubeconfig"
        controllers_config.write_text(self._kubeconfig(_certificate_user(controllers)))

        etcd = f"http://127.0.0.1:{_free_port()}"
        peer = f"http://127.0.0.1:{_free_port()}"
        self._run(
            "etcd",
            f"--data-dir={self.folder / 'etcd'}",
            "--unsafe-no-fsync",
            f"--listen-client-urls={etcd}",
            f"--advertise-client-urls={etcd}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--log-level=warn",
        )
        self._wait("etcd", lambda: _answers(f"{etcd}/health", context=None))
        self._run(
            "kube-apiserver",
            f"--etcd-servers={etcd}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.server.rpartition(':')[2]}",
            "--endpoint-reconciler-type=none",
            f"--service-cluster-ip-range={SERVICE_RANGE}",
            "--authorization-mode=Node,RBAC",
            f"--client-ca-file={self.authority.path}",
            f"--tls-cert-file={serving.certificate}",
            f"--tls-private-key-file={serving.key}",
            f"--cert-dir={self.folder / 'apiserver'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={tokens.certificate}",
            f"--service-account-signing-key-file={tokens.key}",
            f"--requestheader-client-ca-file={front_proxy.path}",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-username-headers=X-Remote-User",
            f"--proxy-client-cert-file={front_proxy_client.certificate}",
            f"--proxy-client-key-file={front_proxy_client.key}",
        )
        self._wait("kube-apiserver", self._api_server_is_ready)
        port = _free_port()
        self._run(
            "kube-controller-manager",
            f"--kubeconfig={controllers_config}",
            f"--authentication-kubeconfig={controllers_config}",
            f"--authorization-kubeconfig={controllers_config}",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            f"--cert-dir={self.folder / 'controllers'}",
            "--leader-elect=false",
            "--use-service-account-credentials=true",
            f"--service-account-private-key-file={tokens.key}",
            f"--root-ca-file={self.authority.path}",
            "--concurrent-gc-syncs=4",
        )
        self._wait("kube-controller-manager", self._default_service_account_exists)

    def _api_server_is_ready(self) -> bool:
        context = ssl.create_default_context(cafile=str(self.authority.path))
        context.load_cert_chain(self.admin.certificate, self.admin.key)
        return _answers(f"{self.server}/readyz", context=context)

    def _part(self, name: str) -> "subprocess.Popen[bytes]":
        return next(process for part, process in self.processes if part == name)

    def _default_service_account_exists(self) -> bool:
        return self.try_kubectl("get", "serviceaccount", "default", "-n", "default").returncode == 0

    def _run(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [str(self.binaries[name].path), *arguments],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
            )
        self.processes.append((name, process))

    def _wait(self, name: str, ready: Callable[[], bool]) -> None:
        process = self._part(name)
        deadline = time.monotonic() + READY_SECONDS
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                log = (self.folder / f"{name}.log").read_text(errors="replace")
                how = "ended" if process.poll() is not None else f"was not ready after {READY_SECONDS:.0f} s"
                raise ClusterFailed(f"{name} {how}; the end of its log:\n{log[-3000:]}")
            time.sleep(0.05)

    def _kubeconfig(self, user: Json) -> str:
        cluster = {"server": self.server, "certificate-authority": str(self.authority.path)}
        return yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "test", "cluster": cluster}],
                "users": [{"name": "user", "user": user}],
                "contexts": [{"name": "test", "context": {"cluster": "test", "user": "user"}}],
                "current-context": "test",
            }
        )


def _certificate_user(pair: Pair) -> Json:
    return {"client-certificate": str(pair.certificate), "client-key": str(pair.key)}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def _answers(url: str, *, context: ssl.SSLContext | None) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with direct.open(url, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
