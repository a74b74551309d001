"""Where the API server is and who we are there.

In a pod: the service account's files, whose token is read again before it grows stale. Elsewhere: the kubeconfig, read
by the official `kubernetes` client, which knows every way a kubeconfig can hold credentials; it is loaded here alone,
because it weighs more than the rest of the operator together and a pod never needs it.
"""

import os
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stepwell_engine.errors import StepwellError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_SECONDS = 60.0


class NoCluster(StepwellError):
    """There is no way to a cluster from here."""

    code = "NoCluster"


@dataclass(frozen=True, slots=True)
class Access:
    """`token` gives the bearer token of the moment; None where certificates or a password do. `namespace` is our own."""

    server: str
    namespace: str
    tls: ssl.SSLContext | None
    token: Callable[[], str | None]
    ca_path: Path | None = None
    certificate_path: Path | None = None
    key_path: Path | None = None


def find_access() -> Access:
    """In-cluster if the files are there, else by kubeconfig. Raises NoCluster."""
    if (SERVICE_ACCOUNT / "token").exists() and os.environ.get("KUBERNETES_SERVICE_HOST"):
        return in_cluster()
    return by_kubeconfig()


def in_cluster() -> Access:
    host = os.environ["KUBERNETES_SERVICE_HOST"]
    port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    ca = SERVICE_ACCOUNT / "ca.crt"
    return Access(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        namespace=(SERVICE_ACCOUNT / "namespace").read_text().strip(),
        tls=ssl.create_default_context(cafile=str(ca)),
        token=_TokenFile(SERVICE_ACCOUNT / "token"),
        ca_path=ca,
    )


def by_kubeconfig() -> Access:
    """The current context of `KUBECONFIG` (or the usual file)."""
    try:
        from kubernetes import client, config
    except ImportError:
        raise NoCluster(
            "no cluster: not in a pod, and to read a kubeconfig install `stepwell-operator[kubeconfig]`"
        ) from None
    try:
        config.load_kube_config()  # type: ignore[no-untyped-call]
        _, active = config.list_kube_config_contexts()  # type: ignore[no-untyped-call]
    except config.ConfigException as error:
        raise NoCluster(f"no cluster: not in a pod, and the kubeconfig can't be used: {error}") from None
    loaded = client.Configuration.get_default_copy()
    tls: ssl.SSLContext | None = None
    if loaded.host.startswith("https:"):
        tls = ssl.create_default_context(cafile=loaded.ssl_ca_cert)
        if loaded.cert_file:
            tls.load_cert_chain(loaded.cert_file, loaded.key_file)
        if not loaded.verify_ssl:
            tls.check_hostname = False
            tls.verify_mode = ssl.CERT_NONE

    def token() -> str | None:
        bearer = loaded.auth_settings().get("BearerToken")
        return None if bearer is None else str(bearer["value"]).removeprefix("Bearer ")

    return Access(
        server=loaded.host,
        namespace=active["context"].get("namespace") or "default",
        tls=tls,
        token=token,
        ca_path=_path(loaded.ssl_ca_cert),
        certificate_path=_path(loaded.cert_file),
        key_path=_path(loaded.key_file),
    )


class _TokenFile:
    """A projected token, which the kubelet replaces long before it expires."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._token = ""
        self._read_at = -TOKEN_SECONDS

    def __call__(self) -> str:
        if time.monotonic() - self._read_at >= TOKEN_SECONDS:
            self._token = self._path.read_text().strip()
            self._read_at = time.monotonic()
        return self._token


def _path(value: str | None) -> Path | None:
    return None if value is None else Path(value)
