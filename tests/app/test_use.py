"""Which sources are asked: as the configuration names them, side by side, and again while a plan is applied."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest
from tests.app.cleaning import APP, KEEP_ONE, NOW, Clock, MemoryJournal, opened, outcome

from jettison.app.apply_plan import InUseNow, apply_plan
from jettison.app.configuration import Configuration, load_configuration
from jettison.app.make_plan import make_plan
from jettison.app.use import LatestUse, Use, find_use
from jettison.errors import ConfigurationError, InUseError
from jettison.inuse.compose import ComposeSource
from jettison.inuse.docker import DockerEngineSource, EngineTls
from jettison.inuse.kubernetes import KubernetesSource
from jettison.inuse.listed import ListedByCommand, ListedInFile
from jettison.inuse.sources import NamedSource, gather
from jettison.plan.model import ActionKind, DeleteBy
from jettison.policy.in_use import ImageName, RegistryNames, UsedImage
from jettison.policy.parse import parse_policy
from jettison.testing.images import image, index, pull, push
from jettison.testing.registry_server import RegistryServer

SOURCES = """
in_use:
  production: {kubernetes: {contexts: [eu, us], kubeconfig: /etc/kubeconfig, namespaces: [shop]}, optional: true}
  current: {kubernetes: {}}
  engines: {docker: [default, "tcp://build:2376"], tls: {ca_file: ca.pem}}
  one: {docker: "unix:///run/docker.sock"}
  shops: {compose: "/srv/*/compose.yaml"}
  listed: {file: /etc/images, may_be_empty: true}
  asked: {command: [images, --all], timeout: 5}
  docker: {file: /etc/docker-images}
"""


def configured(folder: Path, text: str) -> Configuration:
    path = folder / "jettison.yaml"
    path.write_text(text)
    return load_configuration(path)


def test_sources_are_made_as_the_configuration_says(tmp_path: Path) -> None:
    configuration = configured(tmp_path, SOURCES)
    names = list(configuration.in_use)
    use = find_use(configuration, [*names, "listed"], ["registry.example"])
    tls = EngineTls(Path("ca.pem"))
    assert [(each.name, each.source, each.optional) for each in use.sources] == [
        ("production", KubernetesSource("eu", Path("/etc/kubeconfig"), ("shop",)), True),
        ("production", KubernetesSource("us", Path("/etc/kubeconfig"), ("shop",)), True),
        ("current", KubernetesSource(), False),
        ("engines", DockerEngineSource(None, tls), False),
        ("engines", DockerEngineSource("tcp://build:2376", tls), False),
        ("one", DockerEngineSource("unix:///run/docker.sock"), False),
        ("shops", ComposeSource(("/srv/*/compose.yaml",)), False),
        ("listed", ListedInFile(Path("/etc/images"), may_be_empty=True), False),
        ("asked", ListedByCommand(["images", "--all"], seconds=5), False),
        ("docker", ListedInFile(Path("/etc/docker-images")), False),
    ]


def test_sources_are_spelled_on_the_command_line() -> None:
    spelled = (
        "docker",
        "docker:ssh://host",
        "kubernetes",
        "kubernetes:eu",
        "compose",
        "compose:a.yaml",
        "file:b",
        "command:c 'd e'",
    )
    assert [each.source for each in find_use(Configuration(), spelled, None).sources] == [
        DockerEngineSource(),
        DockerEngineSource("ssh://host"),
        KubernetesSource(),
        KubernetesSource("eu"),
        ComposeSource((".",)),
        ComposeSource(("a.yaml",)),
        ListedInFile(Path("b")),
        ListedByCommand(["c", "d e"]),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("in_use: {a: {}}", "in_use.a: give one of docker"),
        ("in_use: {a: {docker: x, file: y}}", "in_use.a: give one of docker.*there are 2"),
        ("in_use: {a: {file: y, tls: {ca_file: z}}}", "`tls` goes with `docker` only"),
        ("in_use: {a: {command: []}}", "`command` names no program"),
        (
            "in_use: {a: {kubernets: {}}}",
            r":1:14: in_use.a.kubernets: unknown key 'kubernets'; did you mean 'kubernetes'",
        ),
        ("in_use: {a: {kubernetes: {context: x}}}", r"in_use.a.kubernetes.context: .*did you mean 'contexts'"),
        ("in_use: {a: {timeout: soon, file: x}}", "in_use"),
        ("in_use: [docker]", "in_use"),
    ],
)
def test_mistakes_in_the_configuration_are_told(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        find_use(configured(tmp_path, text), ["a"], None)


def test_the_documented_examples_are_true(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs/in-use.md").read_text()
    examples = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (policy,) = [each for each in examples if each.startswith("# policy.yaml")]
    (example,) = [each for each in examples if each.startswith("# jettison.yaml")]
    policies = "policies: [{repositories: ['**'], rules: [{name: a, tags: '*', keep: {newest: 1}}]}]"
    configuration = configured(tmp_path, example)
    wanted = parse_policy(policy + policies, "docs/in-use.md").in_use
    team = configuration.registries["team"]
    use = find_use(configuration, (*wanted, *team.in_use, *configuration.in_use), (team.url, *team.aliases))
    assert use.spelled == ("production", "docker", "engines", "shops", "releases", "nomad")
    assert [each.optional for each in use.sources if each.name == "nomad"] == [True]
    assert use.names is not None
    assert {"registry.example.com", "registry.registry.svc:5000", "mirror.example.com/team"} <= use.names.names


class Told:
    """A source that tells what it is given; what raises is raised."""

    def __init__(self, *answers: list[str] | InUseError) -> None:
        self.answers = list(answers)
        self.asked = 0

    def ask(self) -> list[UsedImage]:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        if isinstance(answer, InUseError):
            raise answer
        return [UsedImage(ImageName.parse(text), "somewhere") for text in answer]


DOWN = InUseError("it is down")


def test_one_source_that_fails_fails_all_unless_it_is_optional() -> None:
    works, fails = Told(["a:1", "a:1", "b:1"]), Told(DOWN)
    gathered = gather([NamedSource("x", works), NamedSource("y", fails, optional=True)])
    assert (len(gathered.images), gathered.counts, gathered.silent) == (3, {"x": 2}, {"y": "it is down"})
    several = gather(
        [NamedSource("x", works), NamedSource("x", Told(["b:1", "c:1"])), NamedSource("x", fails, optional=True)]
    )
    assert (several.counts, several.silent) == ({"x": 3}, {"x": "it is down"})
    with pytest.raises(InUseError, match=r"y: it is down; z: it is down") as caught:
        gather([NamedSource("x", works), NamedSource("y", fails), NamedSource("z", fails)])
    assert caught.value.exit_status == 3


def use_of(source: Told, *names: str) -> Use:
    return Use(("told",), (NamedSource("told", source),), RegistryNames.of(names) if names else None)


async def test_an_answer_serves_for_ten_times_as_long_as_it_took() -> None:
    source = Told(["app:1"], ["app:2"], ["app:3"])
    clock = Clock()
    moments = iter([0.0, 2.0])
    latest = LatestUse(use_of(source), lambda: next(moments, clock.now))
    assert set(await latest.in_repository("library/app")) == {"1"}
    clock.now = 19.0
    assert set(await latest.in_repository("library/app")) == {"1"}
    clock.now = 20.0
    assert set(await latest.in_repository("library/app")) == {"2"}


async def test_an_answer_serves_for_a_minute_at_most_and_so_does_silence() -> None:
    source = Told(DOWN, ["app:2"])
    moments = iter([0.0, 30.0, 59.0])
    latest = LatestUse(use_of(source), lambda: next(moments, 60.0))
    for _ in range(2):
        with pytest.raises(InUseError, match="it is down"):
            await latest.in_repository("library/app")
    assert source.asked == 1
    assert set(await latest.in_repository("library/app")) == {"2"}


class Now:
    """What is in use, by repository; `falls_silent` after so many answers."""

    def __init__(self, used: Mapping[str, str], falls_silent: int = 1000) -> None:
        self._used = used
        self._left = falls_silent

    async def in_repository(self, name: str) -> Mapping[str, str]:
        self._left -= 1
        if self._left < 0:
            raise DOWN
        return self._used if name == APP else {}


OLD, OLDER, NEW = image(seed="old"), image(seed="older"), image(seed="new")
AMD = image(seed="amd")


async def test_a_platform_in_use_is_not_taken_with_its_index(registry: RegistryServer) -> None:
    """The index goes; the platform that runs by its own digest stays, and pulls whole."""
    old = index([AMD, image(seed="arm", platform="linux/arm64")])
    push(registry.url, APP, old, "v1")
    push(registry.url, APP, NEW, "v2")
    async with opened(registry.url) as api:
        plan = await make_plan(api, KEEP_ONE, policy_name="tests", now=NOW)
        report = await apply_plan(api, plan, MemoryJournal(), in_use=Now({AMD.digest: "pod a"}))
    assert outcome(report, old.digest)[0] == "done"
    assert outcome(report, AMD.digest) == ("skipped", "in use now: pod a")
    pull(registry.url, APP, str(AMD.digest))


async def test_an_index_in_use_keeps_its_platforms(registry: RegistryServer) -> None:
    old = index([AMD, image(seed="arm", platform="linux/arm64")])
    push(registry.url, APP, old, "v1")
    push(registry.url, APP, NEW, "v2")
    async with opened(registry.url) as api:
        plan = await make_plan(api, KEEP_ONE, policy_name="tests", now=NOW)
        report = await apply_plan(api, plan, MemoryJournal(), in_use=Now({"v1": "pod a"}))
    assert {each.result for each in report.done} == {"skipped"}
    pull(registry.url, APP, "v1")


async def test_tags_that_go_alone_are_checked_too(registry_31: RegistryServer) -> None:
    for tag, built in (("v1", OLDER), ("v2", OLD), ("v3", NEW)):
        push(registry_31.url, APP, built, tag)
    async with opened(registry_31.url, delete_by=DeleteBy.TAG) as api:
        plan = await make_plan(api, KEEP_ONE, policy_name="tests", now=NOW)
        assert {each.action for each in plan.actions} == {ActionKind.DELETE_TAG}
        used = Now({"v1": "pod a", OLD.digest: "pod b"})
        report = await apply_plan(api, plan, MemoryJournal(), in_use=used)
    assert [(each.action.tags, each.detail) for each in report.done] == [
        (("v1",), "in use now: pod a"),
        (("v2",), "in use now: pod b"),
    ]


async def test_silence_before_the_first_deletion_stops_and_later_it_fails_what_is_left(
    registry: RegistryServer,
) -> None:
    for tag, built in (("v1", OLDER), ("v2", OLD), ("v3", NEW)):
        push(registry.url, APP, built, tag)
    async with opened(registry.url) as api:
        plan = await make_plan(api, KEEP_ONE, policy_name="tests", now=NOW)
        with pytest.raises(InUseError):
            await apply_plan(api, plan, MemoryJournal(), in_use=Now({}, falls_silent=0))
        report = await apply_plan(api, plan, MemoryJournal(), in_use=cast("InUseNow", Now({}, falls_silent=2)))
    assert [each.result for each in report.done] == ["done", "failed"]
    assert "could not be checked: it is down" in report.done[1].detail
    pull(registry.url, APP, "v2")
