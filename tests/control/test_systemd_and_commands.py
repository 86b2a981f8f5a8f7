"""Registries that systemd or given commands run, held and collected.

No systemd runs where these tests do. A script stands in for `systemctl`: it knows one unit, and really starts and stops
a registry process. What it prints for `show` was taken from systemd 252's documentation of these properties.
"""

import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import MakeRegistry
from tests.control.judges import blobs_on_disk, delete_manifest, deletes

from jettison.control import enable_delete
from jettison.control.collector import collect_with_registry
from jettison.control.enable_delete import plan_enable_delete
from jettison.control.given_commands import CommandRegistry, Commands
from jettison.control.probe import Probe
from jettison.control.status import read_status
from jettison.control.systemd_unit import UnitRegistry
from jettison.control.target import connect, parse_target
from jettison.errors import ControlError
from jettison.testing.images import image
from jettison.testing.programs import REGISTRY_VERSIONS
from jettison.testing.registry_server import RegistryServer
from jettison.testing.transfer import pull, push

versions = pytest.mark.parametrize("version", REGISTRY_VERSIONS)

SYSTEMCTL = """\
#!{python}
import os, signal, subprocess, sys, time
from pathlib import Path
folder = Path({folder!r})
verb, unit, rest = sys.argv[1], sys.argv[2], sys.argv[3:]
with (folder / "log").open("a") as log:
    print(verb, file=log)
if unit != "registry.service":
    if verb == "show":
        print("LoadState=not-found")
        sys.exit(0)
    sys.exit(f"Unit {{unit}} not found.")
pidfile, started = folder / "pid", folder / "started"
def pid():
    if not pidfile.exists():
        return 0
    number = int(pidfile.read_text())
    line = Path(f"/proc/{{number}}/cmdline")
    return number if line.exists() and line.read_bytes() else 0
def stop():
    number = pid()
    if number:
        os.kill(number, signal.SIGKILL)
    while pid():
        time.sleep(0.01)
def start():
    if pid():
        return
    server = subprocess.Popen([{binary!r}, "serve", {config!r}], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True, cwd="/", {options}
        env={{"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none", "REGISTRY_HTTP_SECRET": "hidden-word"}})
    pidfile.write_text(str(server.pid))
    started.write_text(str(int(time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6)))
if verb == "show":
    number = pid()
    print("LoadState=loaded")
    print("ActiveState=" + ("active" if number else "inactive"))
    print(f"MainPID={{number}}")
    command = {binary!r} + " serve " + {config!r}
    print("ExecStart={{ path=" + {binary!r} + " ; argv[]=" + command + " ; ignore_errors=no ; pid=1 }}")
    print("Environment=REGISTRY_HTTP_SECRET=hidden-word 'REGISTRY_X=a b'")
    print("WorkingDirectory=")
    print("ExecMainStartTimestampMonotonic=" + (started.read_text() if started.exists() else "0"))
elif verb == "stop":
    stop()
elif verb == "start":
    start()
elif verb == "restart":
    stop()
    start()
else:
    sys.exit(f"unknown verb {{verb}}")
"""


class Service:
    """A registry server that the stand-in for systemctl runs."""

    def __init__(self, server: RegistryServer, folder: Path, options: str) -> None:
        self.server = server
        self.folder = folder
        # Debian's name of the program, which the recognition of servers goes by.
        program = folder / "docker-registry"
        program.symlink_to(server._binary)
        script = folder / "systemctl"
        script.write_text(
            SYSTEMCTL.format(
                python=sys.executable,
                folder=str(folder),
                binary=str(program),
                config=str(server.config_path),
                options=options,
            )
        )
        script.chmod(script.stat().st_mode | stat.S_IXUSR)

    @property
    def pid(self) -> int:
        return int((self.folder / "pid").read_text())

    @property
    def verbs(self) -> list[str]:
        return [verb for verb in (self.folder / "log").read_text().split() if verb != "show"]


@pytest.fixture
def service(
    request: pytest.FixtureRequest, tmp_path: Path, make_registry: MakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Service]:
    yield from _serve(make_registry(getattr(request, "param", "2.8")), tmp_path, monkeypatch)


def _serve(
    server: RegistryServer, place: Path, monkeypatch: pytest.MonkeyPatch, options: str = ""
) -> Iterator[Service]:
    server.stop()
    folder = place / "bin"
    folder.mkdir()
    made = Service(server, folder, options)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    subprocess.run(["systemctl", "start", "registry.service"], check=True)
    Probe(server.url).wait_until_serving()
    yield made
    subprocess.run(["systemctl", "stop", "registry.service"], check=True)


@pytest.fixture
def service_of_nobody(make_registry: MakeRegistry, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """Give a server that runs as the user 65534, in a folder that this user may enter (pytest's own it may not)."""
    if os.geteuid() != 0:
        pytest.skip("only root can run a server as another user")
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        server = make_registry("2.8", place / "root")
        push(server.url, "team/app", image(), "1")
        yield from _serve(server, place, monkeypatch, "user=65534, group=65534, extra_groups=[], ")


both = pytest.mark.parametrize("service", REGISTRY_VERSIONS, indirect=True)


@both
def test_status_of_a_unit(service: Service) -> None:
    running = UnitRegistry("registry", url=service.server.url)
    status = read_status(running)
    assert status.version is not None
    assert status.version.startswith(service.server.version)
    assert status.config_path == str(service.server.config_path)
    assert status.started_at is not None
    assert dict(running.environment()) == {"REGISTRY_HTTP_SECRET": "hidden-word"}
    assert "hidden-word" not in repr(status)
    assert not status.frozen
    os.kill(service.pid, signal.SIGSTOP)
    assert running.is_frozen()


@both
def test_collecting_stops_and_starts_the_unit(service: Service) -> None:
    url, root = service.server.url, service.server.root
    gone, kept = image(seed=1), image(seed=2)
    push(url, "team/app", gone, "1")
    push(url, "team/app", kept, "2")
    delete_manifest(url, "team/app", gone.digest)
    running = UnitRegistry("registry", url=url)
    status = read_status(running)
    report = collect_with_registry(running, status.configuration, status.version)
    assert (report.blobs_deleted, report.held, report.restarted) == (3, True, True)
    assert str(gone.digest) not in blobs_on_disk(root)
    assert service.verbs == ["start", "stop", "start"]
    pull(url, "team/app", "2")
    push(url, "team/app", gone, "1")
    pull(url, "team/app", "1")


def test_the_collector_runs_as_the_servers_user(service_of_nobody: Service) -> None:
    """A server that may not read the storage cannot collect it either: nothing is done as root in its place."""
    server = service_of_nobody.server
    for path in [server.root, *server.root.rglob("*")]:
        path.chmod(0o700 if path.is_dir() else 0o600)
    running = UnitRegistry("registry", url=server.url)
    with pytest.raises(ControlError, match="permission denied"):
        collect_with_registry(running, read_status(running).configuration, "2.8.2")
    assert Probe(server.url).serves()


def test_a_unit_that_is_not_there(service: Service) -> None:
    assert service.pid
    with pytest.raises(ControlError, match=r"no unit registri\.service"):
        read_status(UnitRegistry("registri", url=None))


def test_a_unit_that_does_not_run(service: Service) -> None:
    subprocess.run(["systemctl", "stop", "registry.service"], check=True)
    running = connect(parse_target("systemd:registry"), url=service.server.url)
    status = read_status(running)
    assert (status.started_at, status.config_path) == (None, str(service.server.config_path))
    with pytest.raises(ControlError, match="is not active"):
        collect_with_registry(running, status.configuration, "2.8.2")


def test_enable_delete_and_restart_of_a_unit(service: Service) -> None:
    subprocess.run(["systemctl", "stop", "registry.service"], check=True)
    service.server.delete = False
    service.server._write_configuration()
    running = UnitRegistry("registry", url=service.server.url)
    running.restart()
    assert not deletes(service.server.url)
    edit = plan_enable_delete(running)
    assert edit.survives
    enable_delete.apply(running, edit)
    running.restart()
    assert deletes(service.server.url)


HOLD = """
import sys
from jettison.control.systemd_unit import UnitRegistry
unit = UnitRegistry("registry", url=sys.argv[1])
with unit.hold():
    print("held", flush=True)
    unit.garbage_collect(delete_untagged=False)
    sys.stdin.read()
"""


def test_a_killed_run_starts_the_unit_again_without_its_collector(service: Service) -> None:
    url, root = service.server.url, service.server.root
    push(url, "team/app", image(), "1")
    # The collector waits at a named pipe for as long as nobody writes.
    link = next(root.glob("docker/registry/v2/repositories/team/app/_manifests/revisions/sha256/*/link"))
    link.unlink()
    os.mkfifo(link)
    before = service.pid
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert not Probe(url).serves(timeout_seconds=0.5)
        while not _collectors(root):
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
        Probe(url).wait_until_serving()
    assert service.pid != before
    assert not _collectors(root)


def _collectors(root: Path) -> list[str]:
    """Return the command lines of the collectors of this storage, wherever they run."""
    config = root.with_name(f"{root.name}-config.yml")
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().decode(errors="replace")
        except OSError:  # it ended
            continue
        if "garbage-collect" in line and str(config) in line:
            found.append(line)
    return found


@pytest.fixture
def commands(service: Service) -> Commands:
    return Commands(
        exec=("env", "REGISTRY_HTTP_SECRET=hidden-word", "OTEL_TRACES_EXPORTER=none"),
        restart=("systemctl", "restart", "registry.service"),
        config=str(service.server.config_path),
        program=str(service.folder / "docker-registry"),
    )


@both
def test_given_commands_without_stop_collect_with_a_warning(service: Service, commands: Commands) -> None:
    url = service.server.url
    gone, kept = image(seed=1), image(seed=2)
    push(url, "team/app", gone, "1")
    push(url, "team/app", kept, "2")
    delete_manifest(url, "team/app", gone.digest)
    running = CommandRegistry(commands, url=url)
    status = read_status(running)
    assert status.version is not None
    report = collect_with_registry(running, status.configuration, status.version)
    assert (report.blobs_deleted, report.held, report.restarted) == (3, False, True)
    assert "can lack layers" in report.warnings[0]
    assert service.verbs == ["start", "restart"]
    pull(url, "team/app", "2")
    push(url, "team/app", gone, "1")
    pull(url, "team/app", "1")


def test_given_commands_with_stop_hold(service: Service, commands: Commands) -> None:
    url = service.server.url
    gone = image(seed=1)
    push(url, "team/app", gone, "1")
    delete_manifest(url, "team/app", gone.digest)
    given = {
        "command": {
            "exec": list(commands.exec),
            "stop": ["systemctl", "stop", "registry.service"],
            "start": ["systemctl", "start", "registry.service"],
            "config": commands.config,
            "program": commands.program,
        }
    }
    running = connect(parse_target(given), url=url)
    status = read_status(running)
    report = collect_with_registry(running, status.configuration, status.version)
    assert (report.blobs_deleted, report.held, report.warnings) == (3, True, ())
    assert service.verbs == ["start", "stop", "start"]
    running.restart()
    assert Probe(url).serves()


def test_a_stop_that_does_not_stop_is_noticed(service: Service, commands: Commands) -> None:
    given = Commands(
        exec=commands.exec, stop=("true",), start=("true",), config=commands.config, program=commands.program
    )
    running = CommandRegistry(given, url=service.server.url)
    with pytest.raises(ControlError, match="still answers after"):
        collect_with_registry(running, read_status(running).configuration, "2.8.2")


def test_given_commands_change_the_file_and_say_when_input_is_not_passed_on(
    service: Service, commands: Commands
) -> None:
    running = CommandRegistry(commands, url=service.server.url)
    assert plan_enable_delete(running).already_enabled
    assert "if " in plan_enable_delete(running).advice
    old = running.read_config().text
    copy = running.write_config(old + "# new\n")
    assert running.read_config().text == old + "# new\n"
    assert Path(copy).read_text() == old
    deaf = CommandRegistry(
        Commands(exec=("sh", "-c", '"$@" </dev/null', "sh"), config=commands.config), url=service.server.url
    )
    with pytest.raises(ControlError, match="must pass standard input on"):
        deaf.write_config("version: 0.1\n")
    assert running.read_config().text == old + "# new\n"


@pytest.mark.parametrize(
    ("commands_given", "expected"),
    [
        (Commands(), "has no exec"),
        (Commands(exec=("/nowhere/program",)), "cannot be run"),
        (Commands(exec=("false",)), "could read no registry configuration"),
    ],
)
def test_commands_that_do_not_work(commands_given: Commands, expected: str) -> None:
    with pytest.raises(ControlError, match=expected):
        read_status(CommandRegistry(commands_given, url=None))


def test_a_restart_that_fails_shows_no_arguments() -> None:
    running = CommandRegistry(Commands(restart=("false", "hidden-word")), url=None)
    with pytest.raises(ControlError, match=r"control\.command\.restart \(false\) failed: status 1") as caught:
        running.restart()
    assert "hidden-word" not in str(caught.value)
    with pytest.raises(ControlError, match="no restart"):
        CommandRegistry(Commands(exec=("true",)), url=None).restart()
