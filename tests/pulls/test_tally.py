"""What counts as a pull, of what, and whose."""

import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.pulls.logs import DOCKER, NOON, ONE, SKOPEO, TWO

from jettison.app.configuration import PullClient, Pulls, _parse
from jettison.app.pull_settings import ignored_clients, pull_gap
from jettison.errors import ConfigurationError
from jettison.oci.digest import Digest
from jettison.pulls.ignore import Ignored, IgnoreError, IgnoreRule
from jettison.pulls.request import Client, Request
from jettison.pulls.spans import Span, SpanCollector, joined, known_since
from jettison.pulls.tally import FOLLOWS_WITHIN, Tally

GAP = timedelta(days=3)
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)


def ask(
    what: str | Digest,
    method: str = "GET",
    agent: str = SKOPEO,
    moment: datetime = NOON,
    *,
    account: str = "",
    address: str = "10.1.2.3",
    repository: str = "team/app",
) -> Request:
    digest = what if isinstance(what, Digest) else None
    tag = None if digest else what
    return Request(moment, method, repository, tag, digest, Client(agent, account, address))


def counted(*requests: Request, ignored: Ignored | None = None) -> dict[str, int]:
    tally = Tally(ignored or Ignored())
    for request in requests:
        tally.add(request)
    return {reference: times for (_, reference), (times, _) in tally.take().items()}


def test_a_get_pulls_what_it_names() -> None:
    assert counted(ask("1.0"), ask("1.0"), ask(ONE)) == {"1.0": 2, ONE: 1}


@pytest.mark.parametrize("agent", [DOCKER, "containerd/v2.0.2", "buildkit/v0.21", "Docker/28.1 go/1.24"])
def test_a_runtime_that_asks_for_a_tag_pulls_it_although_it_needs_nothing_more(agent: str) -> None:
    assert counted(ask("1.0", "HEAD", agent)) == {"1.0": 1}
    assert counted(ask("1.0", "HEAD", agent), ask(ONE, "GET", agent)) == {"1.0": 1, ONE: 1}
    assert counted(ask(ONE, "HEAD", agent)) == {}


@pytest.mark.parametrize("agent", ["crane/0.20 go-containerregistry/0.20", "Watchtower", "", "my-docker/1"])
def test_another_client_that_only_looks_pulls_nothing(agent: str) -> None:
    assert counted(ask("1.0", "HEAD", agent)) == {}
    assert counted(ask(ONE, "HEAD", agent)) == {}


def test_a_get_by_digest_right_after_is_a_pull_of_the_tag_that_was_asked_for() -> None:
    after = ask(ONE, moment=NOON + SECOND)
    assert counted(ask("1.0", "HEAD"), after) == {"1.0": 1, ONE: 1}
    assert counted(ask("1.0", "HEAD"), after, ask(TWO, moment=NOON + SECOND)) == {"1.0": 1, ONE: 1, TWO: 1}
    late = ask(ONE, moment=NOON + FOLLOWS_WITHIN + SECOND)
    earlier = ask(ONE, moment=NOON - SECOND)
    others = [
        ask(ONE, address="10.1.2.4"), ask(ONE, agent="skopeo/2"), ask(ONE, account="x"), ask(ONE, repository="other")
    ]  # fmt: skip
    for each in (late, earlier, *others):
        assert counted(ask("1.0", "HEAD"), each) == {ONE: 1}


def test_heads_that_nothing_follows_are_forgotten_in_the_end() -> None:
    requests = [ask("1.0", "HEAD", address=f"10.{number >> 8}.{number & 255}.1") for number in range(10_001)]
    assert counted(*requests, ask(ONE, address="10.0.0.1")) == {ONE: 1}
    assert counted(*requests[1:], ask(ONE, address="10.0.1.1")) == {"1.0": 1, ONE: 1}


def test_the_latest_pull_is_kept_in_whatever_order_lines_come() -> None:
    tally = Tally(Ignored())
    for hours in (3, 5, 1):
        tally.add(ask("1.0", moment=NOON + hours * HOUR))
    assert tally.take() == {("team/app", "1.0"): (3, NOON + 5 * HOUR)}
    assert tally.take() == {}


def test_what_jettison_itself_asks_for_never_counts() -> None:
    assert counted(ask("1.0", agent="jettison/0.1.0")) == {}


@pytest.mark.parametrize(
    ("rule", "client", "fits"),
    [
        (IgnoreRule("s", agents=("trivy/*",)), Client("Trivy/0.58 go/1.23"), True),
        (IgnoreRule("s", agents=("trivy/*",)), Client("not-trivy/1"), False),
        (IgnoreRule("s", agents=("trivy/*", "*clair*")), Client("quay clair/4"), True),
        (IgnoreRule("s", agents=("v1.?",)), Client("v1.2"), True),
        (IgnoreRule("s", agents=("v1.?",)), Client("v1x2"), False),
        (IgnoreRule("s", agents=("",)), Client(""), True),
        (IgnoreRule("s", agents=("",)), Client("x"), False),
        (IgnoreRule("s", accounts=("robot$mirror-*",)), Client("docker/1", "robot$mirror-eu"), True),
        (IgnoreRule("s", accounts=("robot$mirror-*",)), Client("docker/1", "anna"), False),
        (IgnoreRule("s", addresses=("10.9.0.0/16",)), Client(address="10.9.8.7"), True),
        (IgnoreRule("s", addresses=("10.9.0.0/16",)), Client(address="::ffff:10.9.8.7"), True),
        (IgnoreRule("s", addresses=("10.9.0.0/16",)), Client(address="10.8.8.7"), False),
        (IgnoreRule("s", addresses=("10.9.0.1",)), Client(address="10.9.0.1"), True),
        (IgnoreRule("s", addresses=("10.9.0.1",)), Client(address="10.9.0.10"), False),
        (IgnoreRule("s", addresses=("fd00::/8",)), Client(address="fd00::1"), True),
        (IgnoreRule("s", addresses=("scanner-*.internal",)), Client(address="scanner-3.internal"), True),
        (IgnoreRule("s", addresses=("10.9.0.0/16",)), Client(address="unknown"), False),
        (IgnoreRule("s", ("docker/*",), ("mirror",)), Client("docker/1", "mirror"), True),
        (IgnoreRule("s", ("docker/*",), ("mirror",)), Client("docker/1", "anna"), False),
        (IgnoreRule("s", ("docker/*",), ("mirror",)), Client("skopeo/1", "mirror"), False),
    ],
)
def test_clients_are_ignored_by_agent_account_and_address(rule: IgnoreRule, client: Client, fits: bool) -> None:
    assert Ignored([rule]).rule_of(client) == ("s" if fits else None)


@pytest.mark.parametrize("rule", [IgnoreRule("s"), IgnoreRule("s", addresses=("10.9.0.0/99",))])
def test_a_rule_that_means_nothing_is_refused(rule: IgnoreRule) -> None:
    with pytest.raises(IgnoreError):
        Ignored([rule])
    settings = Pulls(ignore=[PullClient(address=list(rule.addresses))])
    with pytest.raises(ConfigurationError, match=r"pulls\.ignore: "):
        ignored_clients(settings)


def test_the_configuration_says_whose_pulls_do_not_count_and_how_long_a_silence_may_be() -> None:
    settings = Pulls(ignore=[PullClient(user_agent="trivy/*"), PullClient(name="mirror", account=["m", "n"])], gap="7d")
    ignored = ignored_clients(settings)
    assert ignored.rule_of(Client("trivy/1")) == "trivy/*"
    assert ignored.rule_of(Client(account="n")) == "mirror"
    assert ignored.rule_of(Client("docker/1")) is None
    assert pull_gap(settings) == 7 * DAY
    with pytest.raises(ConfigurationError, match=r"pulls\.gap: 'soon' is no span"):
        pull_gap(Pulls(gap="soon"))


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_glob_without_wildcards_fits_its_own_text_alone(pattern: str, text: str) -> None:
    literal = pattern.replace("*", "").replace("?", "")
    ignored = Ignored([IgnoreRule("s", agents=(literal,))])
    assert ignored.rule_of(Client(literal)) is not None
    if literal.casefold() != text.casefold() and literal.lower() != text.lower() and not text.startswith("jettison/"):
        assert ignored.rule_of(Client(text)) is None


# Spans.

moments = st.integers(0, 60).map(lambda days: NOON + days * DAY)


@given(st.lists(moments, min_size=1))
def test_moments_make_the_same_spans_in_any_order(found: list[datetime]) -> None:
    collector = SpanCollector(GAP)
    for moment in found:
        collector.add(moment)
    assert collector.spans == joined([Span(moment, moment) for moment in found], GAP)


def test_a_silence_makes_two_spans_once_it_is_longer_than_the_gap() -> None:
    first, second = Span(NOON, NOON + DAY), Span(NOON + 4 * DAY, NOON + 5 * DAY)
    assert joined([second, first], GAP) == (Span(NOON, NOON + 5 * DAY),)
    assert joined([second, first], GAP - SECOND) == (first, second)
    assert joined([Span(NOON, NOON + 9 * DAY), first], GAP) == (Span(NOON, NOON + 9 * DAY),)


@pytest.mark.parametrize(
    ("spans", "since"),
    [
        ((), None),
        ((Span(NOON - 30 * DAY, NOON),), NOON - 30 * DAY),
        ((Span(NOON - 30 * DAY, NOON - 3 * DAY),), NOON - 30 * DAY),
        ((Span(NOON - 30 * DAY, NOON - 3 * DAY - SECOND),), None),
        ((Span(NOON - 90 * DAY, NOON - 60 * DAY), Span(NOON - 20 * DAY, NOON)), NOON - 20 * DAY),
        ((Span(NOON - 90 * DAY, NOON - 22 * DAY), Span(NOON - 20 * DAY, NOON)), NOON - 90 * DAY),
        ((Span(NOON - 30 * DAY, NOON + 90 * DAY),), NOON - 30 * DAY),
        ((Span(NOON + DAY, NOON + 2 * DAY),), None),
    ],
)
def test_pulls_are_known_as_far_back_as_there_is_no_hole(spans: tuple[Span, ...], since: datetime | None) -> None:
    assert known_since(spans, NOON, GAP) == since


def test_the_example_in_the_documentation_is_one() -> None:
    page = (Path(__file__).parents[2] / "docs/pulls.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    settings = _parse(example, "docs/pulls.md").pulls
    ignored = ignored_clients(settings)
    assert pull_gap(settings) == GAP
    assert ignored.rule_of(Client("skopeo/1.9.3", "backup")) == "skopeo/*, backup"
    assert ignored.rule_of(Client("skopeo/1.9.3", "anna")) is None
    assert ignored.rule_of(Client("docker/1", "robot$mirror-eu")) == "mirroring"
    assert ignored.rule_of(Client("docker/1", "anna", "10.20.3.4")) == "security team"
