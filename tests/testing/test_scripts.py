"""What `make` calls: the scripts are POSIX sh, safe to run again, and never fail for what cannot be had."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
_COREUTILS = ("sh", "env", "dirname", "mkdir", "rm", "mv", "rmdir", "id", "printf", "cat", "chmod", "sed", "touch")
MakeBin = Callable[..., Path]


@pytest.fixture
def make_bin(tmp_path: Path) -> MakeBin:
    """Return a function that makes a folder of programs: the coreutils and, by name, small scripts."""

    def make(**programs: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        made = {name.replace("_", "-"): text for name, text in programs.items()}
        for name in set(_COREUTILS) - set(made):
            found = shutil.which(name)
            assert found is not None
            (folder / name).symlink_to(found)
        for name, text in made.items():
            # "x": a file that exists is never written to, for it might be a link to the machine's own program.
            with (folder / name).open("x") as script:
                script.write(f"#!/bin/sh\n{text}\n")
            (folder / name).chmod(0o755)
        return folder

    return make


def _run(script: Path, *arguments: str | Path, path: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(path), "HOME": os.environ.get("HOME", "/")}
    return subprocess.run(["/bin/sh", script, *arguments], env=environment, capture_output=True, text=True)


@pytest.fixture
def install_tools(tmp_path: Path) -> Path:
    (tmp_path / "project/scripts").mkdir(parents=True)
    shutil.copytree(SCRIPTS / "kube-apiserver", tmp_path / "project/scripts/kube-apiserver")
    return Path(shutil.copy(SCRIPTS / "install-tools", tmp_path / "project/scripts"))


_GO = """case "$*" in
version) echo "go version go1.0" ;;
install*) mkdir -p "$GOBIN" && echo "$*" >>"$GOBIN/../calls" &&
    echo built >"$GOBIN/registry" && chmod 755 "$GOBIN/registry" ;;
*" build "*) test -d "$2" && while test "$1" != -o; do shift; done && echo built >"$2" && chmod 755 "$2" ;;
esac
"""


def test_install_tools_builds_once_and_then_says_nothing(install_tools: Path, make_bin: MakeBin) -> None:
    names = (
        "docker_registry",
        "skopeo",
        "dockerd",
        "wrk",
        "busybox",
        "crontab",
        "spin",
        "gcc",
        "nginx",
        "etcd",
        "redis_server",
    )
    present = dict.fromkeys(names, "exit 0")
    folder = make_bin(go=_GO, **present)
    first = _run(install_tools, path=folder)
    tools = install_tools.parents[1] / ".tools"
    assert first.returncode == 0
    assert "building registry 3.1.1" in first.stderr
    assert (tools / "registry-3.1.1").read_text() == "built\n"
    assert (tools / "kube-apiserver-1.33.13").read_text() == "built\n"
    again = _run(install_tools, path=folder)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert (tools / "calls").read_text().count("install") == 1


def test_install_tools_names_what_cannot_be_had_and_goes_on(install_tools: Path, make_bin: MakeBin) -> None:
    folder = make_bin(go='test "$1" = version && echo "go version go1.0" || exit 1', wrk="exit 0", id="echo 1000")
    done = _run(install_tools, path=folder)
    assert done.returncode == 0
    if not Path("/usr/sbin/dockerd").exists():  # the script looks into /usr/sbin whatever PATH says
        assert "docker.io" in done.stderr
    assert "docker-registry skopeo" in done.stderr
    assert "wrk" not in done.stderr
    assert "registry 3.1.1 could not be built; go version go1.0 may be too old" in done.stderr


def test_one_package_that_cannot_be_had_does_not_stop_the_others(install_tools: Path, make_bin: MakeBin) -> None:
    present = dict.fromkeys(("dockerd", "busybox", "crontab", "spin", "gcc", "nginx", "etcd", "redis_server"), "exit 0")
    log = install_tools.parents[1] / "apt-calls"
    sudo = 'shift; test "$1" = true && exit 0; case "$*" in *apt-get*) ;; *) exit 0;; esac; exec "$@"'
    apt = f'echo "$*" >>{log}; case "$*" in *skopeo*) exit 100;; esac'
    folder = make_bin(apt_get=apt, sudo=sudo, id="echo 1000", tee="cat", **present)
    done = _run(install_tools, path=folder)
    assert done.returncode == 0
    assert "skopeo could not be installed" in done.stderr
    assert "wrk could not" not in done.stderr
    calls = log.read_text().splitlines()
    assert any(call.endswith(" update") for call in calls)
    assert [call.split()[-1] for call in calls[-3:]] == ["docker-registry", "skopeo", "wrk"]


def test_need_venv_makes_an_environment_where_the_part_is_there(tmp_path: Path) -> None:
    done = _run(SCRIPTS / "need-venv", sys.executable, tmp_path / "venv", path=Path("/usr/bin"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "venv/bin/pip").exists()


def test_need_venv_tells_what_to_install_and_leaves_nothing(tmp_path: Path, make_bin: MakeBin) -> None:
    without = 'case "$2" in *version_info*) echo 3.11;; *) mkdir -p "$4"; touch "$4/pyvenv.cfg"; exit 1;; esac'
    folder = make_bin(python3=without)
    done = _run(SCRIPTS / "need-venv", "python3", tmp_path / "venv", path=folder)
    assert done.returncode == 1
    assert "apt-get install python3-venv" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "venv").exists()


def test_need_venv_without_any_python(tmp_path: Path, make_bin: MakeBin) -> None:
    done = _run(SCRIPTS / "need-venv", "python3", tmp_path / "venv", path=make_bin())
    assert done.returncode == 1
    assert "no working `python3`" in done.stderr
