"""What real clients do, as a real nginx and real registries log it: skopeo and docker pull, others only look."""

import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from tests.cli.commands import Command, Ended
from tests.conftest import MakeRegistry
from tests.pulls.conftest import MakeNginx

from jettison.cli.main import run
from jettison.oci.digest import Digest
from jettison.testing.connection import Connection
from jettison.testing.docker_engine import DockerEngine
from jettison.testing.htpasswd import Htpasswd
from jettison.testing.images import image, index, push
from jettison.testing.programs import REGISTRY_VERSIONS, Missing, RegistryVersion, skopeo

APP = "team/app"
ONE, BOTH = image(seed=1), index([image(seed=2), image(seed=3, platform="linux/arm64")])
USERS = {"anna": "secret", "scanner": "secret"}
ACCEPT = {"Accept": "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"}


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    def call(*arguments: object) -> Ended:
        capfd.readouterr()
        status = run([str(argument) for argument in arguments])
        told = capfd.readouterr()
        return Ended(status, told.out, told.err)

    return call


@pytest.fixture
def copy(need: Callable[[Path | Missing], Path], tmp_path: Path) -> Callable[..., None]:
    """Pull an image with skopeo into a folder."""
    program = need(skopeo())

    def pull(reference: str, account: str | None = None) -> None:
        to = tmp_path / "pulled" / str(abs(hash(reference)))
        to.mkdir(parents=True, exist_ok=True)
        credentials = [f"--src-creds={account}:{USERS[account]}"] if account else []
        arguments: list[str | Path] = [
            program,
            "copy",
            "--src-tls-verify=false",
            *credentials,
            f"docker://{reference}",
            f"dir:{to}",
        ]
        subprocess.run(arguments, check=True, capture_output=True)

    return pull


def pulled(command: Command, registry: str, *more: object) -> dict[str, int]:
    shown = command("pulls", "show", registry, "--json", *more)
    assert shown.status == 0, shown.err
    return {each["reference"]: each["times"] for each in shown.document["pulled"]}


@pytest.mark.real
def test_nginx_tells_who_pulled_what(
    make_registry: MakeRegistry,
    make_nginx: MakeNginx,
    copy: Callable[..., None],
    command: Command,
    tmp_path: Path,
) -> None:
    registry = make_registry("3.1")
    for tag, built in {"1.0": ONE, "2.0": BOTH, "3.0": image(seed=4)}.items():
        push(registry.url, APP, built, tag)
    front = make_nginx(registry.url, users=USERS)
    copy(f"{front.host}/{APP}:1.0", "anna")
    copy(f"{front.host}/{APP}@{BOTH.digest}", "anna")
    copy(f"{front.host}/{APP}:3.0", "scanner")
    with Connection(front.url, auth=("anna", "secret")) as connection:
        for agent, method in (("trivy/0.58", "GET"), ("Watchtower", "HEAD"), ("containerd/v2.0.2", "HEAD")):
            path = f"/v2/{APP}/manifests/2.0"
            assert connection.ask(method, path, headers=ACCEPT | {"User-Agent": agent}).status == 200
        assert connection.ask("GET", f"/v2/{APP}/manifests/none", headers=ACCEPT).status == 404
    configuration = tmp_path / "jettison.yaml"
    configuration.write_text(
        f"registries: {{team: {{url: '{registry.url}'}}}}\n"
        "pulls: {ignore: [{user_agent: 'trivy/*'}, {name: scanners, account: scanner}]}\n"
    )
    options = ("--config", configuration)
    first = command("pulls", "import", front.log, "--json", *options)
    assert first.status == 0, first.err
    (report,) = first.document["logs"]
    assert report["unrecognised"] == 0
    assert report["ignored"] == {"scanners": 1, "trivy/*": 1}
    platform = BOTH.children[0].digest
    wanted = {"1.0": 1, "2.0": 1, BOTH.digest: 1, platform: 1}
    assert pulled(command, "team", *options) == wanted

    # The log is rotated and compressed, and imported again beside the new one.
    old = front.rotate("access.log.1", compress=True)
    copy(f"{front.host}/{APP}:1.0", "anna")
    again = command("pulls", "import", front.log, old, *options)
    assert again.status == 0, again.err
    assert "known already" in again.out
    assert pulled(command, "team", *options) == wanted | {"1.0": 2}


@pytest.mark.real
@pytest.mark.parametrize("formatter", ["text", "json", "logstash"])
@pytest.mark.parametrize("version", REGISTRY_VERSIONS)
def test_the_registrys_own_log_tells_each_pull_once(
    version: RegistryVersion, formatter: str, make_registry: MakeRegistry, copy: Callable[..., None], command: Command
) -> None:
    log = {"level": "info", "formatter": formatter, "accesslog": {"disabled": False}}
    registry = make_registry(version, extra={"log": log})
    push(registry.url, APP, ONE, "1.0")
    push(registry.url, APP, BOTH, "2.0")
    for reference in ("1.0", "1.0", "2.0"):
        copy(f"{registry.host}/{APP}:{reference}")
    registry.stop()
    done = command("pulls", "import", "--registry", registry.url, registry.log_path, "--json")
    assert done.status == 0, done.err
    assert done.document["logs"][0]["unrecognised"] == 0
    assert pulled(command, registry.url) == {"1.0": 2, "2.0": 1, BOTH.children[0].digest: 1}


class Endpoint:
    """Takes a registry's notifications and keeps them as they come."""

    def __init__(self, dump: Path) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                with dump.open("ab") as file:
                    file.write(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  (the base class's name)
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}/events"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def wait_for_pulls(dump: Path, count: int) -> None:
    """A registry sends notifications behind its answers, and those not sent yet are lost when it stops."""
    deadline = time.monotonic() + 30
    while not dump.exists() or dump.read_text().count('"action": "pull"') < count:
        assert time.monotonic() < deadline, dump.read_text() if dump.exists() else "nothing was sent"
        time.sleep(0.01)


@pytest.mark.real
@pytest.mark.parametrize("version", REGISTRY_VERSIONS)
def test_notifications_tell_the_tag_and_its_digest(
    version: RegistryVersion, make_registry: MakeRegistry, copy: Callable[..., None], command: Command, tmp_path: Path
) -> None:
    dump = tmp_path / "events.json"
    with Endpoint(dump) as url:
        endpoint = {"name": "dump", "url": url, "timeout": "5s", "threshold": 5, "backoff": "1s"}
        registry = make_registry(version, extra={"notifications": {"endpoints": [endpoint]}})
        push(registry.url, APP, BOTH, "2.0")
        copy(f"{registry.host}/{APP}:2.0")
        wait_for_pulls(dump, 2 + len(BOTH.children[0].blobs))
        registry.stop()
        done = command("pulls", "import", "--registry", registry.url, dump)
    assert done.status == 0, done.err
    assert pulled(command, registry.url) == {"2.0": 1, BOTH.digest: 1, BOTH.children[0].digest: 1}


@pytest.mark.real
def test_docker_asks_for_a_tag_by_head_and_pulls_it_by_digest(
    make_registry: MakeRegistry, make_nginx: MakeNginx, docker_engine: DockerEngine, command: Command
) -> None:
    registry = make_registry("2.8")
    push(registry.url, APP, ONE, "1.0")
    front = make_nginx(registry.url)
    reference = f"{front.host}/{APP}"
    try:
        docker_engine.client.images.pull(reference, tag="1.0")
        # It has the image now, and only asks whether it is still the one.
        docker_engine.client.images.pull(reference, tag="1.0")
    finally:
        docker_engine.client.images.remove(f"{reference}:1.0", force=True)
    done = command("pulls", "import", "--registry", registry.url, front.log)
    assert done.status == 0, done.err
    assert pulled(command, registry.url) == {"1.0": 2, ONE.digest: 1}


@pytest.mark.real
def test_what_nobody_pulled_for_long_goes_and_the_rest_stays(
    make_registry: MakeRegistry, make_nginx: MakeNginx, copy: Callable[..., None], command: Command, tmp_path: Path
) -> None:
    registry = make_registry("3.1")
    for number, tag in enumerate(("old", "busy", "by-digest", "never"), start=1):
        push(registry.url, APP, image(seed=number), tag)
    front = make_nginx(registry.url)
    by_digest = Digest(image(seed=3).digest)
    copy(f"{front.host}/{APP}:old")
    front.rotate("old.log")
    copy(f"{front.host}/{APP}:busy")
    copy(f"{front.host}/{APP}@{by_digest}")
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        'policies: [{repositories: ["**"], rules: [{name: all, tags: "*", keep: {pulled_within: 30d}}]}]\n'
    )

    def goes() -> set[str]:
        done = command("plan", registry.url, "--policy", policy, "--json", "--allow-last-image")
        assert done.status == 0, done.err
        return {tag for action in done.document["actions"] for tag in action["tags"]}

    assert goes() == set()
    # What was logged today becomes forty days old; a server writes some line every day.
    now = datetime.now(UTC)
    line = (tmp_path / "nginx/old.log").read_text()
    aged = tmp_path / "aged.log"
    days = [now - timedelta(days=days) for days in range(40, -1, -1)]
    quiet = "".join(
        f'10.1.2.3 - - [{day:%d/%b/%Y:%H:%M:%S +0000}] "GET /v2/ HTTP/1.1" 200 2 "-" "curl"\n' for day in days
    )
    aged.write_text(line.replace(f"[{now:%d/%b/%Y}", f"[{days[0]:%d/%b/%Y}") + quiet)
    assert command("pulls", "import", "--registry", registry.url, aged, front.log).status == 0
    assert goes() == {"old", "never"}


@pytest.mark.real
@pytest.mark.parametrize("source", ["2.8 notifications", "3.1 notifications", "3.1 text", "3.1 json"])
def test_the_registry_tells_the_account(
    source: str, make_registry: MakeRegistry, command: Command, tmp_path: Path
) -> None:
    """2.8 tells it in its notifications alone: its log names the account of what failed, and of no pull."""
    version, kind = source.split()
    users, dump = Htpasswd(tmp_path / "users"), tmp_path / "events.json"
    with Endpoint(dump) as url:
        endpoint = {"name": "dump", "url": url, "timeout": "5s", "threshold": 5, "backoff": "1s"}
        formatter = {"level": "info", "formatter": kind if kind == "json" else "text", "accesslog": {"disabled": False}}
        extra = {"log": formatter, "notifications": {"endpoints": [endpoint]}}
        registry = make_registry(version, extra=extra, auth=users)
        push(registry.url, APP, ONE, "1.0", auth=users.credentials)
        with Connection(registry.url, auth=users.credentials) as connection:
            for _ in range(3):
                assert connection.ask("GET", f"/v2/{APP}/manifests/1.0", headers=ACCEPT).status == 200
        wait_for_pulls(dump, 3)
        registry.stop()
    log, configuration = dump if kind == "notifications" else registry.log_path, tmp_path / "jettison.yaml"
    for account, ignored in (("nobody", {}), (users.user, {users.user: 3})):
        configuration.write_text(f"pulls: {{ignore: [{{account: {account}}}]}}\n")
        places = ("--config", configuration, "--history", tmp_path / f"{account}.db")
        done = command("pulls", "import", "--registry", registry.url, log, "--json", *places)
        assert done.document["logs"][0]["ignored"] == ignored
        assert pulled(command, registry.url, *places).get("1.0", 0) == (0 if ignored else 3)
