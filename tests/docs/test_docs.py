"""The documentation is true: every command and option stands in it, and its examples are read by the code."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from jettison.app.configuration import load_configuration
from jettison.cli.main import cli
from jettison.plan import model
from jettison.policy.parse import parse_policy

ROOT = Path(__file__).parents[2]
DOCS = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")}
SHARED = {"--help", "--json", "--yes", "--version"}


def commands(group: click.Command, name: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield every command that can be run, by its full name."""
    if isinstance(group, click.Group):
        context = click.Context(group)
        for each in group.list_commands(context):
            found = group.get_command(context, each)
            assert found is not None
            yield from commands(found, f"{name} {each}".strip())
    else:
        yield name, group


COMMANDS = dict(commands(cli))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented(name: str) -> None:
    for word in name.split():
        assert re.search(rf"^## .*\b{word}\b", DOCS["commands.md"], re.MULTILINE), f"{word} has no part in commands.md"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_documented(name: str) -> None:
    pages = "\n".join(DOCS.values())
    options = {option for each in COMMANDS[name].params for option in each.opts if option.startswith("--")}
    missing = [option for option in options - SHARED if f"{option}" not in pages]
    assert missing == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    help_texts = [each.help for each in command.params if isinstance(each, click.Option)]
    assert all(help_texts)


def test_links_between_pages_lead_somewhere() -> None:
    for name, text in {**DOCS, "../README.md": (ROOT / "README.md").read_text(encoding="utf-8")}.items():
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (ROOT / "docs" / name).parent.joinpath(target).exists(), f"{name} leads to {target}"


def examples(page: str) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", DOCS[page], re.DOTALL)


def test_the_policy_example_is_one() -> None:
    example = examples("policy.md")[0]  # the others have a test of their own, with what they keep
    policy = parse_policy(example, "docs/policy.md")
    assert [rule.name for rule in policy.policies[0].rules] == ["releases", "branches", "the rest"]


def test_the_configuration_example_is_one(tmp_path: Path) -> None:
    (example,) = examples("configuration.md")
    path = tmp_path / "jettison.yaml"
    path.write_text(example)
    assert set(load_configuration(path).registries) == {"team", "lab"}


def test_commands_in_the_readme_can_be_parsed() -> None:
    lines = re.findall(r"^ +jettison (.+)$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(lines) >= 5
    for line in lines:
        words = re.findall(r'"[^"]*"|\S+', line)
        name = next(name for name in sorted(COMMANDS, key=len, reverse=True) if " ".join(words).startswith(name))
        arguments = [word.strip('"') for word in words[len(name.split()) :]]
        COMMANDS[name].make_context(name, arguments)


def test_the_plan_file_is_described_field_by_field() -> None:
    for struct in (model.Plan, model.Action, model.Totals, model.Server, model.Problem):
        for field in struct.__struct_fields__:
            assert f"`{field}`" in DOCS["json.md"], f"{struct.__name__}.{field} is not in json.md"


def test_exit_statuses_are_the_documented_ones() -> None:
    from jettison import errors

    documented = {int(found) for found in re.findall(r"^\| (\d+) \|", DOCS["commands.md"], re.MULTILINE)}
    raised = {
        kind.exit_status
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.JettisonError)
    }
    assert raised <= documented
    assert {0, 4, 10, 130} <= documented
    assert json.dumps(sorted(documented)) == "[0, 1, 2, 3, 4, 10, 130]"
