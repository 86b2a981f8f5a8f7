"""A real Kubernetes API: kube-apiserver with an etcd, on loopback, without nodes or controllers.

What a test creates stays as it was created: nothing schedules pods or makes ReplicaSets, so a test writes both, status
included, as a scheduler, a controller and a kubelet would have.
"""

import json
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from jettison.testing.network import LOOPBACK, free_port
from jettison.testing.programs import etcd, kube_apiserver, require
from jettison.testing.registry_server import ServerStartError
from jettison.testing.tls import TlsFiles

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 15.0
_POLL_SECONDS: Final = 0.05
_TOKENS: Final = {"admin": "system:masters", "reader": "readers", "stranger": "strangers"}


class KubernetesApi:
    """An API server. Entering the context starts it, leaving it stops it and removes all that it held.

    `kubeconfig` has a context for each of three users: `admin` may do everything, `reader` and `stranger` nothing,
    until a test gives the groups `readers` or `strangers` a role. Raises MissingPartError where a program is not here.
    """

    def __init__(self) -> None:
        self._programs = (require(etcd()), require(kube_apiserver()))
        self._folder = Path()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._etcd_url = ""
        self.url = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def kubeconfig(self) -> Path:
        """The file that says how each user reaches the server."""
        return self._folder / "kubeconfig"

    def start(self) -> None:
        """Start both servers and wait until the API is ready. Raises ServerStartError, with the logs."""
        self._folder = Path(tempfile.mkdtemp(prefix="jettison-kube-"))
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        tls = TlsFiles.create(self._folder / "tls")
        (self._folder / "tokens.csv").write_text(
            "".join(f'token-of-{user},{user},{user},"{group}"\n' for user, group in _TOKENS.items())
        )
        port = free_port()
        self.url = f"https://{LOOPBACK}:{port}"
        self._etcd_url = f"http://{LOOPBACK}:{free_port()}"
        peer = f"http://{LOOPBACK}:{free_port()}"
        self._write_kubeconfig(tls)
        self._run(
            self._programs[0],
            f"--data-dir={self._folder / 'etcd'}",
            f"--listen-client-urls={self._etcd_url}",
            f"--advertise-client-urls={self._etcd_url}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
        )
        self._run(
            self._programs[1],
            f"--etcd-servers={self._etcd_url}",
            f"--bind-address={LOOPBACK}",
            f"--secure-port={port}",
            f"--tls-cert-file={tls.certificate}",
            f"--tls-private-key-file={tls.key}",
            f"--cert-dir={self._folder / 'certificates'}",
            f"--token-auth-file={self._folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={tls.key}",
            f"--service-account-signing-key-file={tls.key}",
            "--service-cluster-ip-range=10.0.0.0/24",
            # It refuses to announce a loopback address to pods; here are none.
            "--endpoint-reconciler-type=none",
            # Pods need no service account, which only a controller would make.
            "--disable-admission-plugins=ServiceAccount",
        )
        self._wait(self._is_ready)

    def stop(self) -> None:
        """End both servers and remove their folder."""
        for process in reversed(self._processes):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()
        if self._folder != Path():
            shutil.rmtree(self._folder)
            self._folder = Path()

    def log(self) -> str:
        """Return the end of what both servers wrote."""
        return "\n".join(path.read_text(errors="replace")[-4000:] for path in sorted(self._folder.glob("*.log")))

    def request(
        self, method: str, path: str, body: object = None, content_type: str = "application/json"
    ) -> dict[str, Any]:
        """Send one request as `admin`, return the answer. Raises AssertionError with the server's words if refused."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Authorization": "Bearer token-of-admin", "Content-Type": content_type},
        )
        try:
            with urllib.request.urlopen(request, context=self._trust(), timeout=30) as answer:
                found: dict[str, Any] = json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.read().decode(errors='replace')}") from error
        return found

    def create(self, path: str, *objects: Mapping[str, object]) -> list[dict[str, Any]]:
        """Create objects of one kind, each in its own namespace where `path` has `{namespace}`; a status is set too."""
        made = []
        for each in objects:
            metadata = each["metadata"]
            assert isinstance(metadata, Mapping)
            place = path.format(namespace=metadata.get("namespace", "default"))
            answer = self.request("POST", place, each)
            if "status" in each:
                patch = {"status": each["status"]}
                kind = "application/merge-patch+json"
                answer = self.request("PATCH", f"{place}/{metadata['name']}/status", patch, kind)
            made.append(answer)
        return made

    def compact(self) -> None:
        """Have etcd forget all but the present state, as it does by itself every few minutes."""
        revision = self._etcd("/v3/kv/range", {"key": "AA=="})["header"]["revision"]
        self._etcd("/v3/kv/compaction", {"revision": revision, "physical": True})

    def _etcd(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        request = urllib.request.Request(self._etcd_url + path, data=json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: dict[str, Any] = json.loads(answer.read())
        return found

    def _run(self, program: Path, *arguments: str) -> None:
        with (self._folder / f"{len(self._processes)}-{program.name}.log").open("wb") as log:
            self._processes.append(
                subprocess.Popen([program, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            )

    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self._folder / "tls/ca.pem"))

    def _is_ready(self) -> bool:
        try:
            # `default` is made after the server says that it is ready.
            for path in ("/readyz", "/api/v1/namespaces/default"):
                request = urllib.request.Request(self.url + path, headers={"Authorization": "Bearer token-of-admin"})
                with urllib.request.urlopen(request, context=self._trust(), timeout=5):
                    pass
        except OSError:
            return False
        return True

    def _wait(self, condition: Any) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if any(process.poll() is not None for process in self._processes):
                raise ServerStartError(f"the Kubernetes API ended while starting; its logs:\n{self.log()}")
            if condition():
                return
            time.sleep(_POLL_SECONDS)
        raise ServerStartError(f"the Kubernetes API was not ready in {_START_SECONDS:.0f} s; its logs:\n{self.log()}")

    def _write_kubeconfig(self, tls: TlsFiles) -> None:
        users: Sequence[str] = list(_TOKENS)
        self.kubeconfig.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": users[0],
                    "clusters": [
                        {"name": "test", "cluster": {"server": self.url, "certificate-authority": str(tls.ca)}}
                    ],
                    "users": [{"name": user, "user": {"token": f"token-of-{user}"}} for user in users],
                    "contexts": [{"name": user, "context": {"cluster": "test", "user": user}} for user in users],
                }
            )
        )
        self.kubeconfig.chmod(0o600)
