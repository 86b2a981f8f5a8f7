"""No secret is ever written into a schedule, and people are told how to do without."""

from pathlib import Path

import pytest

from jettison.app import schedule
from jettison.app.schedule import Choice, Schedulers
from jettison.errors import UsageError
from jettison.schedule.crontab import Crontab
from jettison.schedule.systemd import Systemd

SECRET = "hunter2"


@pytest.fixture
def schedulers(tmp_path: Path) -> Schedulers:
    return Schedulers(Crontab(str(tmp_path / "crontab")), Systemd(folder=tmp_path, program=str(tmp_path / "systemctl")))


@pytest.mark.parametrize("kind", ["crontab", "systemd"])
def test_secret_variables_are_not_written_and_named(schedulers: Schedulers, kind: Choice) -> None:
    environment = {
        "PATH": "/usr/local/bin:relative:/usr/bin:/usr/local/bin",
        "JETTISON_USERNAME": "ci",
        "JETTISON_PASSWORD": SECRET,
        "REGISTRY_PW": SECRET,
        "HTTPS_PROXY": f"http://ci:{SECRET}@proxy:3128",
        "HTTP_PROXY": "http://proxy:3128",
        "UNRELATED_TOKEN": SECRET,
    }
    made = schedule.install(
        "production",
        ["run", "production"],
        "@daily",
        kind=kind,
        print_only=True,
        environment=environment,
        secret_variables=["REGISTRY_PW"],
        schedulers=schedulers,
    )
    assert SECRET not in repr(made)
    assert made.job.environment == {"PATH": "/usr/local/bin:/usr/bin", "HTTP_PROXY": "http://proxy:3128"}
    note = made.notes[0]
    for name in ("JETTISON_USERNAME", "JETTISON_PASSWORD", "REGISTRY_PW", "HTTPS_PROXY"):
        assert name in note
    assert "UNRELATED_TOKEN" not in note
    assert "docker login" in note
    assert "password_file" in note


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", f"https://ci:{SECRET}@registry.example"],
        ["run", f"https://:{SECRET}@registry.example"],
        ["run", f"--history=postgresql://ci:{SECRET}@db/history"],
        ["run", "--history", f"postgresql://db/history?user=ci&password={SECRET}"],
        ["run", f"--password={SECRET}"],
        ["run", "--token", SECRET],
        ["run", f"https%3A//ci:{SECRET}@registry.example"],
    ],
)
def test_secret_arguments_are_refused_without_repeating_them(schedulers: Schedulers, arguments: list[str]) -> None:
    with pytest.raises(UsageError, match="holds a secret") as raised:
        schedule.install("production", arguments, "@daily", print_only=True, schedulers=schedulers)
    assert SECRET not in str(raised.value)
    assert "password_file" in str(raised.value)


def test_harmless_arguments_pass(schedulers: Schedulers) -> None:
    arguments = ["run", "http://ci@registry.example:5000", "--token-file", "/run/token", "--password-file=/x", "a@b:c"]
    made = schedule.install(
        "http://ci:hunter2@registry.example:5000",
        arguments,
        "@daily",
        kind="crontab",
        print_only=True,
        schedulers=schedulers,
    )
    assert made.job.command[1:] == tuple(arguments)
    assert SECRET not in made.text
