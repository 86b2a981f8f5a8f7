"""What the cases do not show: command lines around acr purge, Go's durations, options, and what is told in comments."""

import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jettison.errors import PolicyImportError
from jettison.policy.importers import convert
from jettison.policy.importers.acr_command import read_commands
from jettison.policy.importers.go_duration import GoDurationError, parse_go_duration
from jettison.policy.importers.model import Options
from jettison.policy.model import LastImage, Limits
from jettison.policy.parse import parse_policy

PURGE = "purge --filter 'app:^dev-' --ago 7d"


@pytest.mark.parametrize(
    "text",
    [
        f"acr {PURGE}",
        f"$ acr {PURGE} -r example",
        f"mcr.microsoft.com/acr/acr-cli:0.18 {PURGE}",
        f"mcr.microsoft.com/acr/acr-cli:0.18 acr {PURGE}",
        f'az acr run --cmd "acr {PURGE}" --registry example /dev/null',
        f'az acr run --cmd="acr {PURGE}" --registry example /dev/null',
        f'PURGE_CMD="acr {PURGE}"\naz acr task create --name clean --cmd "$PURGE_CMD" --context /dev/null',
        f"version: v1.1.0\nsteps:\n  - cmd: acr {PURGE}\n    timeout: 3600\n",
        f"steps:\n  # don't stop\n  - {{build: '-t acr purge .'}}\n  - cmd: acr {PURGE}\n",
        "steps:\n  - cmd: >\n      acr purge\n      --filter 'app:^dev-'\n      --ago 7d\n    timeout: 3600\n",
        "steps:\n  - cmd: |\n      acr purge\n      --filter 'app:^dev-'\n      --ago 7d\n",
        f"# it's not: acr purge -f 'x:.*' --ago 1d\nacr {PURGE}  # --keep 5\n",
        "az acr run `\n  --cmd \"acr purge --filter 'app:^dev-' `\n  --ago 7d\" `\r\n  --registry example /dev/null",
        "az acr run ^\r\n  --cmd \"acr purge --filter 'app:^dev-' --ago 7d\" ^\r\n  --registry example /dev/null",
        'az acr task create --cmd "{{ .Run.Registry }}/acr:v1 purge -r x\n  -f app:^dev- --ago 7d" --context /dev/null',
        "acr purge \\\n  --filter 'app:^dev-' \\\r\n  --ago 7d\n",
        "#!/bin/sh\nset -e\n/usr/bin/acr purge --ago=7d -f 'app:^dev-' # weekly\necho done --keep 5",
        "acr purge -f'app:^dev-' --ago 7d && echo done --dry-run",
        "acr purge -f='app:^dev-' --ago 1d --ago 7d -- --keep 5",
    ],
)
def test_a_command_is_found_wherever_it_stands(text: str) -> None:
    (command,) = read_commands(text)
    assert (command.filters, command.texts["ago"], command.keep, command.on("dry-run")) == (
        ["app:^dev-"], "7d", 0, False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no `acr purge`"),
        ("acr tag list", "no `acr purge`"),
        ("docker system purge", "no `acr purge`"),
        (f"acr {PURGE}\nacr {PURGE}", "2 `acr purge` commands"),
        (f"acr {PURGE}\nacr purge --untagged-only", "2 `acr purge` commands"),
        (f"acr {PURGE}\nacr purge -f 'we.*:.*' --ago 1d", "2 `acr purge` commands"),
        (f"acr {PURGE}; acr {PURGE}", "2 `acr purge` commands"),
        ("acr purge --filter 'app:", "no command line"),
        ("acr purge --filter", "needs an argument"),
        ("acr purge -x", "unknown shorthand flag"),
        ("acr purge --dry-run=perhaps", "invalid argument"),
        ("acr purge --keep 99999999999999999999", "invalid argument"),
        ("acr purge -f a:b --ago xd", "does not begin with a number of days"),
        ("acr purge -f a:b --ago " + "9" * 5000 + "d", "5000 digits"),
        ("acr purge -f 'a:\ud800' --ago 1d", "error parsing regexp"),
        ("acr purge -f 'a:" + "(a" * 400 + ")" * 400 + "' --ago 1d", "1000 at most"),
        ("acr purge -f 'a:(?!x)" + "(" * 400 + ")" * 400 + "' --ago 1d", "error parsing regexp"),
        ("acr purge -f 'a:" + "[a-" * 300 + "' --ago 1d", "error parsing regexp"),
    ],
)
def test_what_is_no_command_is_refused(text: str, reason: str) -> None:
    with pytest.raises(PolicyImportError, match=reason):
        convert("acr", text, Options())


def test_commands_for_repositories_of_their_own_become_policies_of_their_own() -> None:
    text = f"acr {PURGE} && acr purge --filter 'team/web:.*' --ago 30d --untagged --dry-run"
    policy = parse_policy(convert("acr", text, Options()).yaml, "imported")
    assert [(str(each.repositories), each.enabled, each.untagged is not None) for each in policy.policies] == [
        ("app", True, False), ("team/web", False, True),
    ]  # fmt: skip


def test_a_password_is_not_copied() -> None:
    text = f"acr {PURGE} -u someone -p hunter2 --registry example"
    assert "hunter2" not in repr(read_commands(text))
    assert "hunter2" not in convert("acr", text, Options()).yaml


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                ["--filter", "-f", "--ago", "--keep", "--untagged", "--untagged-only", "'app:.*'", "7d", "3"]
            ),
            st.text(max_size=6),
        ),
        max_size=10,
    )
)
def test_any_command_line_is_read_or_refused(words: list[str]) -> None:
    try:
        imported = convert("acr", "acr purge " + " ".join(words), Options())
    except PolicyImportError:
        return
    assert parse_policy(imported.yaml, "imported").policies


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("168h", 604800), ("1h30m", 5400), ("1.5h", 5400), ("-10s", -10), ("0", 0), ("+5m", 300), (".5h", 1800),
        ("100ms", Fraction(1, 10)), ("1us", Fraction(1, 10**6)), ("1.h", 3600),
    ],
)  # fmt: skip
def test_durations_of_go(text: str, seconds: Fraction) -> None:
    assert parse_go_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "1", "1d", "1.5", "-", "1h2", ".h", "1 h", "9" * 5000 + "h", "abc"])
def test_what_is_no_duration_of_go(text: str) -> None:
    with pytest.raises(GoDurationError):
        parse_go_duration(text)


def harbor(rules: list[dict[str, Any]], **more: Any) -> str:
    scope = {"level": "project", "ref": 1}
    return json.dumps({"algorithm": "or", "scope": scope, "trigger": {"kind": "Schedule"}, "rules": rules, **more})


def harbor_rule(tags: str = "**", **more: Any) -> dict[str, Any]:
    return {
        "action": "retain",
        "template": "always",
        "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": tags}],
        "scope_selectors": {},
        **more,
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[{}]", None),
        ("{}", "no retention policy"),
        ('{"rules": {}, "algorithm": "or"}', "must be a list"),
        (harbor([harbor_rule(template="latestPushedK", params={"latestPushedK": -1})]), "less than zero"),
        (harbor([harbor_rule(template="latestPushedK", params={"latestPushedK": 32767})]), "too large"),
        (harbor([harbor_rule(template="latestPushedK", params={"latestPushedK": "10"})]), "type error"),
        (harbor([harbor_rule(template="lastXDays", params={"lastXDays": 200_000})]), "too large"),
        (harbor([harbor_rule(disabled="yes")]), "true or false"),
        (harbor([harbor_rule()], trigger={"kind": "Event"}), "not support Trigger"),
        (harbor([harbor_rule()], trigger={"kind": "Schedule", "settings": {"cron": "0 0 * * *"}}), "six fields"),
        (harbor([harbor_rule()], trigger={"kind": "Schedule", "settings": {"cron": 5}}), "cron should be string"),
        (harbor([harbor_rule()], scope={"level": "project", "ref": 0}), "invalid Project id"),
        (harbor([harbor_rule(tags="{a,b")]), "syntax error in pattern"),
        (harbor([harbor_rule(), harbor_rule(disabled=False, id=7)]), "conflict"),
        (harbor([harbor_rule(tags="{a,b}" * 12)]), "more than 200"),
    ],
)
def test_what_harbor_refuses(text: str, reason: str | None) -> None:
    if reason is None:
        assert parse_policy(convert("harbor", text, Options(project="team")).yaml, "imported").policies
        return
    with pytest.raises(PolicyImportError, match=reason):
        convert("harbor", text, Options(project="team"))


def test_harbor_selects_by_the_name_of_the_project_too() -> None:
    def scoped(decoration: str, pattern: str) -> str:
        scope = {"repository": [{"kind": "doublestar", "decoration": decoration, "pattern": pattern}]}
        text = harbor([harbor_rule(tags="v*", scope_selectors=scope)])
        return convert("harbor", text, Options(project="team")).yaml

    assert "enabled: false" in scoped("nsMatches", "other*")
    assert "enabled: false" in scoped("nsExcludes", "team")
    assert "enabled: false" not in scoped("nsMatches", "te*")


def test_repositories_below_a_name_space() -> None:
    text = convert("harbor", harbor([harbor_rule()]), Options(project="team", prefix="mirror/harbor/")).yaml
    assert "repositories: ['mirror/harbor/team/**']" in text
    text = convert("gitlab", '{"enabled": true}', Options(project="Group/App", prefix="mirror")).yaml
    assert "repositories: [mirror/group/app, 'mirror/group/app/**']" in text


@pytest.mark.parametrize(
    ("system", "text", "options", "reason"),
    [
        ("harbor", harbor([]), Options(), "--project NAME"),
        ("harbor", harbor([]), Options(project="Team"), "no repository name"),
        ("gitlab", "{}", Options(project="a/b"), "no clean-up policy"),
        ("gitlab", '{"enabled": true}', Options(), "--project GROUP/PROJECT"),
        ("gitlab", '{"enabled": true}', Options(project="a/b", registry="harbor"), "no registry 'harbor'"),
        ("gitlab", '{"enabled": true, "name_regex": 5}', Options(project="a/b"), "must be a text"),
        ("gitlab", json.dumps({"enabled": True, "name_regex": "a" * 256}), Options(project="a/b"), "too long"),
        ("gitlab", '{"enabled": true, "name_regex": "\\ud800"}', Options(project="a/b"), "invalid UTF-8"),
        ("zot", "{}", Options(), "no `storage`"),
        ("zot", "storage: {gc: [}", Options(), "failed to read configuration"),
        ("zot", "storage: {gc: maybe}", Options(), "must be true or false"),
        ("zot", "storage: {}\nlogs: {}", Options(), "unknown keys: logs"),
        ("zot", "storage: {GC: true, gc: false}", Options(), "gc twice"),
        ("zot", "storage: {}", Options(version="latest"), "no release of zot"),
        ("zot", "storage: {subPaths: {/a: {gc: true, gcDelay: 0s}}}", Options(), "garbage-collect delay"),
        ("zot", "storage: {subPaths: {/a: {gc: true, gcInterval: -1s}}}", Options(), "garbage-collect interval"),
    ],
)
def test_what_is_refused_besides(system: str, text: str, options: Options, reason: str) -> None:
    with pytest.raises(PolicyImportError, match=reason):
        convert(system, text, options)


def test_keep_untagged_is_unknown_to_earlier_zot() -> None:
    text = "storage: {retention: {policies: [{repositories: ['**'], keepUntagged: {pushedWithin: 24h}}]}}"
    assert "within: 1d" in convert("zot", text, Options(version="2.1.20")).yaml
    with pytest.raises(PolicyImportError, match="unknown keys: keepUntagged"):
        convert("zot", text, Options(version="v2.1.19"))


def test_each_sub_path_sees_its_own_repositories_alone() -> None:
    text = """
storage:
  gcDelay: 2h
  retention: {policies: [{repositories: ["*/app"]}]}
  subPaths:
    /a: {gc: true, retention: {delay: 3h, policies: [{repositories: ["**"]}]}}
    /b: {retention: {policies: [{repositories: ["**"]}]}}
    /c/d: {gc: true}
"""
    imported = convert("zot", text, Options())
    policy = parse_policy(imported.yaml, "imported")

    def applies(name: str) -> str:
        found = policy.for_repository(name)
        assert found is not None
        return str(found.untagged) if found.enabled else "off"

    hours = {name: applies(name) for name in ("x/app", "a/app", "b/app", "c/d", "app", "a", "b")}
    assert {name: text.count("10800") or 2 * text.count("7200") for name, text in hours.items()} == {
        "x/app": 2, "a/app": 1, "b/app": 0, "c/d": 2, "app": 2, "a": 2, "b": 2,
    }  # fmt: skip
    assert "The sub-path /c/d takes no repository" in imported.yaml
    assert "off there below /b" in imported.yaml


def test_gitlab_tells_what_it_ignores() -> None:
    imported = convert("gitlab", '{"enabled": true, "name_regexp_keep": "v.*"}', Options(project="a/b"))
    assert imported.warnings == ("'name_regexp_keep' is no setting of GitLab's and has no effect, there and here",)


def test_gitlab_as_its_documentation_and_others_write_it() -> None:
    policy = {"enabled": True, "keep_n": 5, "older_than": "14d", "name_regex": "dev-.*", "name_regex_keep": "v.*"}
    usual = convert("gitlab", json.dumps(policy), Options(project="group/app")).yaml
    project = {"id": 7, "path_with_namespace": "group/app", "container_expiration_policy": policy}
    assert convert("gitlab", json.dumps(project), Options()).yaml == usual
    terraform = {"container_expiration_policy": [policy]}
    assert convert("gitlab", json.dumps(terraform), Options(project="group/app")).yaml == usual
    body = {"container_expiration_policy_attributes": {**policy, "name_regex": "", "name_regex_delete": "dev-.*"}}
    assert convert("gitlab", json.dumps(body), Options(project="group/app")).yaml == usual


def test_a_keep_policy_of_artifact_registry_that_matches_nothing_keeps_nothing() -> None:
    never = {"name": "never", "action": {"type": "Keep"}, "condition": {"olderThan": "30d", "newerThan": "10d"}}
    all_go = {"name": "all", "action": {"type": "Delete"}, "condition": {"tagState": "any"}}
    imported = convert("artifact-registry", json.dumps([never, all_go]), Options())
    assert "keep: {nothing: true}" in imported.yaml
    assert parse_policy(imported.yaml, "imported").policies[0].limits == Limits(last_image=LastImage.ALLOW)
