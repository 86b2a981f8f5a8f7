"""Our blocks in a crontab: put in, found, replaced and taken out, with every other byte as it was."""

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jettison.errors import ScheduleError, UsageError
from jettison.schedule import crontab_text
from jettison.schedule.cron import Cron
from jettison.schedule.model import Job

NIGHTLY = Cron.parse("0 0 * * *")


def job(registry: str = "http://registry.example:5000", cron: Cron = NIGHTLY, *arguments: str) -> Job:
    return Job(registry, cron, ("/opt/jettison/bin/jettison", *(arguments or ("run", registry, "--yes"))), Path("/srv"))


others = st.lists(
    st.binary(max_size=40).filter(lambda line: b"\n" not in line and not line.startswith(b"# jettison: ")), max_size=5
).map(lambda lines: b"".join(line + b"\n" for line in lines))
registries = st.sampled_from(["production", "http://registry.example:5000", "größe", "a b"])


@given(others, registries)
def test_what_was_put_in_comes_out_and_nothing_else(crontab: bytes, registry: str) -> None:
    with_it = crontab_text.with_job(crontab, job(registry))
    assert with_it.startswith(crontab)
    assert crontab_text.without_job(with_it, registry) == crontab
    assert crontab_text.without_job(crontab, registry) == crontab


@given(others, others, registries, registries)
def test_installing_again_replaces_in_place(before: bytes, after: bytes, registry: str, other: str) -> None:
    first = crontab_text.with_job(before, job(registry)) + after
    second = crontab_text.with_job(first, job(registry, Cron.parse("5 5 * * 5")))
    assert second == before + crontab_text.block(job(registry, Cron.parse("5 5 * * 5"))) + after
    both = crontab_text.with_job(second, job(other))
    assert [block.registry for block in crontab_text.blocks(both)] == list(dict.fromkeys([registry, other]))
    assert both.startswith(before)


def test_a_doubled_block_becomes_one() -> None:
    block = crontab_text.block(job())
    assert crontab_text.with_job(block + b"# mine\n" + block, job()) == block + b"# mine\n"
    assert crontab_text.without_job(block + b"# mine\n" + block, job().registry) == b"# mine\n"


def test_a_last_line_without_its_end_gets_one() -> None:
    assert crontab_text.with_job(b"0 1 * * * true", job()).startswith(b"0 1 * * * true\n# jettison: begin")


def test_blocks_are_told_as_they_stand() -> None:
    text = crontab_text.with_job(b"MAILTO=ops\n", job("production", NIGHTLY, "run", "--tag", "50%"))
    (block,) = crontab_text.blocks(text)
    assert (block.registry, block.cron) == ("production", "0 0 * * *")
    assert block.command == "cd /srv && /opt/jettison/bin/jettison run --tag 50%"
    edited = text.replace(b"0 0 * * *", b"# a note\n\n@reboot")
    assert [(block.registry, block.cron) for block in crontab_text.blocks(edited)] == [("production", "@reboot")]


@pytest.mark.parametrize(
    ("crontab", "line"),
    [
        (b"# mine\n# jettison: begin a\n0 0 * * * x\n", 2),
        (b"0 0 * * * x\n# jettison: end a\n", 2),
        (b"# jettison: begin a\n# jettison: begin b\n# jettison: end b\n", 1),
        (b"# jettison: begin a\n0 0 * * * x\n# jettison: end b\n", 1),
    ],
)
def test_torn_blocks_are_left_to_a_person(crontab: bytes, line: int) -> None:
    for use in (
        lambda: crontab_text.with_job(crontab, job()),
        lambda: crontab_text.without_job(crontab, "a"),
        lambda: crontab_text.blocks(crontab),
    ):
        with pytest.raises(ScheduleError, match=f"line {line} of the crontab.*crontab -e"):
            use()


def as_cron_runs_it(line: bytes, *, collapses_backslashes: bool) -> str:
    r"""Return the command that sh gets: Debian's and cronie's do_command.c, in which \\ may or may not become \."""
    command = line.split(b" ", 5)[5]
    result, escaped = b"", False
    for byte in (bytes([b]) for b in command):
        if escaped and (byte == b"%" or (collapses_backslashes and byte == b"\\")):
            result = result[:-1] + byte
            escaped = False
            continue
        escaped = not escaped and byte == b"\\"
        if byte == b"%":
            break  # the rest would be the command's standard input
        result += byte
    return result.decode()


arguments = st.lists(
    st.text("ab \\%'\"$`*#;&|<>(){}!~=\u00e9", max_size=8) | st.text(max_size=8).filter(str.isprintable), max_size=5
)


@settings(max_examples=40, deadline=None)
@given(arguments, st.booleans())
def test_the_program_gets_its_arguments_whatever_is_in_them(words: list[str], collapses: bool) -> None:
    program = ("/usr/bin/env", "printf", "%s\\0")
    made = Job("x", NIGHTLY, (*program, "end", *words), Path("/"), {"VALUE": "50% of\\% $it"})
    line = crontab_text.block(made).splitlines()[1]
    command = as_cron_runs_it(line, collapses_backslashes=collapses)
    said = subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=True).stdout.decode()
    assert said.split("\0")[:-1] == ["end", *words]


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\0b", "a\u2028b", "\x7f", "a\udcffb"])
def test_what_is_no_line_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="cannot be scheduled"):
        job("x", NIGHTLY, text)
    with pytest.raises(UsageError, match="cannot be scheduled"):
        job(text)


def test_a_command_too_long_for_cron_is_refused() -> None:
    with pytest.raises(UsageError, match=r"too long for cron \(\d+ bytes, at most 998\)"):
        crontab_text.block(job("x", NIGHTLY, "y" * 1000))
    longest = crontab_text.block(job("x", NIGHTLY, "y" * (998 - len("cd /srv && /opt/jettison/bin/jettison "))))
    match = re.search(rb"\* (cd .*)\n", longest)
    assert match is not None
    assert len(match[1]) == 998
