"""Reading a registry over its API: what both real servers hold is seen whole, and what cannot be read loses nothing."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.app.cleaning import APP, FAST, NOW, applied, assert_whole, opened, planned

from jettison.errors import ServerFaultError, UnauthorizedError
from jettison.history.store import History
from jettison.oci.digest import Digest
from jettison.oci.inventory import Inventory, Repository
from jettison.oci.manifest import Kind
from jettison.plan.model import ActionKind, DeleteBy
from jettison.registry.settings import Limits
from jettison.testing import faults
from jettison.testing.built import BuiltManifest
from jettison.testing.connection import Connection
from jettison.testing.faulty import Exchange, Fault, FaultyServer
from jettison.testing.images import artifact, image, index, push, referrers_tag, signature_of, signature_tag
from jettison.testing.registry_server import RegistryServer

OLD = image(seed="old", created=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
NEW = image(seed="new", created=datetime(2026, 6, 7, tzinfo=UTC))
AMD, ARM = image(seed="amd"), image(seed="arm", platform="linux/arm64/v8")
BOTH = index([AMD, ARM])
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
JSON = {"Content-Type": "application/json"}


async def read(url: str, *, history: History | None = None, limits: Limits = FAST, **options: object) -> Inventory:
    """Read the whole registry once, with what a history knows."""
    manifests, configs = (history.manifests, history.configs) if history else (None, None)
    async with opened(url, manifests=manifests, configs=configs, limits=limits, **options) as api:  # type: ignore[arg-type]  # checked by `opened`
        return await api.read(lambda name: True, NOW)


def only(inventory: Inventory) -> Repository:
    (repository,) = inventory.repositories
    return repository


def codes(repository: Repository) -> dict[str, bool]:
    """Return the codes of a repository's problems, and whether each blocks."""
    return {problem.code: problem.blocks for problem in repository.problems}


def tags(repository: Repository) -> dict[str, Digest]:
    return {tag.name: tag.digest for tag in repository.tags}


@pytest.mark.parametrize("first_time", [False, True])
async def test_everything_that_a_tag_leads_to_is_seen(registry: RegistryServer, first_time: bool) -> None:
    signature, sbom, report = signature_of(BOTH.digest), artifact(), artifact([b"report"], subject=OLD)
    listed = index([report])
    pushed = {
        "v1": OLD,
        "v2": BOTH,
        signature_tag(BOTH.digest): signature,
        signature_tag(BOTH.digest, ".sbom"): sbom,
        referrers_tag(OLD.digest): listed,
    }
    for tag, built in pushed.items():
        push(registry.url, APP, built, tag)
    repository = only(await read(registry.url, first_time=first_time))
    assert repository.problems == ()
    assert tags(repository) == {tag: built.digest for tag, built in pushed.items()}
    expected = {each.digest: each for built in pushed.values() for each in built.walk()}
    assert set(repository.manifests) == set(expected)
    for digest, manifest in repository.manifests.items():
        built = expected[digest]
        assert manifest.size == len(built.body)
        assert {blob.digest: blob.size for blob in manifest.blobs} == {
            blob.digest: len(blob.body) for blob in built.blobs
        }
        assert [child.digest for child in manifest.children] == [child.digest for child in built.children]
    subject = repository.manifests[report.digest].subject
    assert subject is not None
    assert subject.digest == OLD.digest
    assert repository.created(OLD.digest) == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert repository.platforms(ARM.digest) == ("linux/arm64/v8",)
    assert repository.platforms(BOTH.digest) == ("linux/amd64", "linux/arm64/v8")


async def test_each_manifest_and_config_is_fetched_once_however_many_tags_and_repositories_have_it(
    registry: RegistryServer,
) -> None:
    for name in (APP, "team/copy"):
        for tag in ("v1", "v2", "latest"):
            push(registry.url, name, BOTH, tag)
    with FaultyServer(upstream=registry.url) as proxy:
        inventory = await read(proxy.url, limits=replace(FAST, concurrency=1))
        fetched = [one.path for one in proxy.requests if one.method == "GET" and "/manifests/" in one.path]
        configs = [one.path for one in proxy.requests if one.method == "GET" and "/blobs/" in one.path]
        writes = [one.method for one in proxy.requests if one.method not in ("GET", "HEAD")]
    assert [len(each.manifests) for each in inventory.repositories] == [3, 3]
    assert sorted(path.rpartition("/")[2] for path in fetched) == sorted(each.digest for each in BOTH.walk())
    assert len(configs) == 2
    assert writes == []


async def test_a_second_reading_with_the_history_fetches_nothing_again(registry: RegistryServer) -> None:
    push(registry.url, APP, BOTH, "v1")
    push(registry.url, APP, OLD, "v2")
    history = History.open()
    with FaultyServer(upstream=registry.url) as proxy:
        first = await read(proxy.url, history=history, first_time=True)
        proxy.forget()
        second = await read(proxy.url, history=history)
        assert proxy.count("GET", ".*/(manifests|blobs)/.*") == 0
        push(proxy.url, APP, NEW, "v3")
        proxy.forget()
        third = await read(proxy.url, history=history)
        assert proxy.count("GET", ".*/(manifests|blobs)/.*") == 2
    history.close()
    assert second == first
    assert only(third).created(NEW.digest) == datetime(2026, 6, 7, tzinfo=UTC)


async def test_a_manifest_known_from_elsewhere_is_not_taken_for_present(registry: RegistryServer) -> None:
    """The history knows the child; that this repository lost it must be seen all the same."""
    push(registry.url, APP, BOTH, "v1")
    history = History.open()
    await read(registry.url, history=history)
    with Connection(registry.url) as connection:
        assert connection.ask("DELETE", f"/v2/{APP}/manifests/{ARM.digest}").status == 202
    repository = only(await read(registry.url, history=history))
    history.close()
    assert ARM.digest not in repository.manifests
    assert {BOTH.digest, AMD.digest} == set(repository.manifests)


async def test_a_tag_that_vanishes_between_listing_and_reading_is_left_out(registry: RegistryServer) -> None:
    push(registry.url, APP, OLD, "v1")
    push(registry.url, APP, NEW, "v2")

    def vanish(exchange: Exchange) -> None:
        listed = exchange.normal()
        with Connection(registry.url) as connection:
            connection.ask("DELETE", f"/v2/{APP}/manifests/{OLD.digest}")
        exchange.send(listed)

    with FaultyServer(upstream=registry.url) as proxy:
        proxy.when("GET", ".*/tags/list.*", vanish, times=1)
        repository = only(await read(proxy.url))
    assert tags(repository) == {"v2": NEW.digest}
    assert codes(repository) == {"vanished-tag": False}


# Listings that end half-way. Both servers page by 1000 at most, so the proxy cuts the pages.


def paged(first: Iterable[str], key: str, path: str, name: str | None = None) -> Fault:
    """Answer a first page that links to a second one at `path`."""
    document: dict[str, object] = {key: list(first)} | ({"name": name} if name else {})
    return faults.answer(200, json.dumps(document).encode(), JSON | {"Link": f'<{path}?last=x&n=1000>; rel="next"'})


@pytest.mark.parametrize("second", [faults.answer(500), faults.drop(), faults.truncated(after=12), faults.answer(403)])
async def test_a_tag_listing_that_ends_half_way_loses_nothing(registry: RegistryServer, second: Fault) -> None:
    push(registry.url, APP, OLD, "v1")
    push(registry.url, APP, OLD, "latest")
    push(registry.url, APP, NEW, "v2")
    push(registry.url, "team/other", OLD, "v1")
    push(registry.url, "team/other", NEW, "v2")
    with FaultyServer(upstream=registry.url) as proxy:
        proxy.when("GET", f"/v2/{APP}/tags/list.*", second)
        proxy.when("GET", rf"/v2/{APP}/tags/list\?n=.*", paged(["v1", "v2"], "tags", f"/v2/{APP}/tags/list", APP))
        proxy.when("GET", rf"/v2/{APP}/tags/list\?last=.*", second)
        async with opened(proxy.url) as api:
            plan = await planned(api)
            report = await applied(api, plan)
    assert {each.name: each.complete for each in plan.repositories} == {APP: False, "team/other": True}
    assert {action.repository for action in plan.actions} == {"team/other"}
    assert [problem.repository for problem in plan.problems] == [APP]
    assert report.is_whole
    assert_whole(registry.url, ["v1", "v2", "latest"])
    assert_whole(registry.url, ["v2"], "team/other")


async def test_a_catalogue_that_ends_half_way_is_told_and_what_was_listed_goes_on(registry: RegistryServer) -> None:
    for name in (APP, "team/unlisted"):
        push(registry.url, name, OLD, "v1")
        push(registry.url, name, NEW, "v2")
    with FaultyServer(upstream=registry.url) as proxy:
        proxy.when("GET", r"/v2/_catalog\?n=.*", paged([APP], "repositories", "/v2/_catalog"))
        proxy.when("GET", r"/v2/_catalog\?last=.*", faults.answer(500))
        async with opened(proxy.url) as api:
            plan = await planned(api)
            report = await applied(api, plan)
    assert [problem.code for problem in plan.problems if not problem.repository] == ["catalogue-incomplete"]
    assert report.count("done") == 1
    assert_whole(registry.url, ["v2"])
    assert_whole(registry.url, ["v1", "v2"], "team/unlisted")


@pytest.mark.parametrize(
    ("fault", "error"), [(faults.answer(500), ServerFaultError), (faults.answer(401), UnauthorizedError)]
)
async def test_a_catalogue_that_cannot_be_read_at_all_is_an_error(
    registry_28: RegistryServer, fault: Fault, error: type[Exception]
) -> None:
    push(registry_28.url, APP, OLD, "v1")
    with FaultyServer(upstream=registry_28.url) as proxy:
        proxy.when("GET", "/v2/_catalog.*", fault)
        with pytest.raises(error):
            await read(proxy.url)
        assert tags(only(await read(proxy.url, repositories=(APP,)))) == {"v1": OLD.digest}


# One thing that cannot be read, beside a repository that is whole.

NO_JSON, NO_INDEX = b"{", b"[]"
NO_DIGEST, BAD_DIGEST = b'{"manifests":[{"size":1}]}', b'{"manifests":[{"digest":"x"}]}'
# Deeper than any Python reads JSON: from 3.12 on, tens of thousands of levels are no trouble.
DEPTH = 200_000
DEEP = b'{"schemaVersion":2,"mediaType":"%s","manifests":[],"x":%s}' % (
    INDEX_TYPE.encode(),
    b"[" * DEPTH + b"]" * DEPTH,
)


def replaced(body: bytes, media_type: str, digest: str | None = None) -> Fault:
    """Answer a manifest with another body, under the digest that this has or claims to have."""
    headers = {"Content-Type": media_type, "Docker-Content-Digest": digest or Digest.of(body)}
    return faults.answer(200, body, headers)


ANSWERED = "|".join(str(Digest.of(body)) for body in (NO_JSON, NO_INDEX, NO_DIGEST, BAD_DIGEST, DEEP))
UNREADABLE: Mapping[str, tuple[str, Fault, str]] = {
    "500": ("*", faults.answer(500), "unreadable"),
    "403": ("*", faults.answer(403), "unreadable"),
    "reset": ("*", faults.drop(), "unreadable"),
    "cut": ("GET", faults.truncated(after=30), "unreadable"),
    "lying header": ("GET", faults.wrong_digest(Digest.of(b"a lie")), "unreadable"),
    "lying header of HEAD": ("HEAD", faults.wrong_digest(Digest.of(b"a lie")), "vanished-manifest"),
    "too large": (
        "GET",
        faults.changed(lambda whole: replace(whole, body=whole.body + b" " * (4 << 20))),
        "unreadable",
    ),
    "no JSON": ("*", replaced(NO_JSON, INDEX_TYPE), "bad-manifest"),
    "no index": ("*", replaced(NO_INDEX, INDEX_TYPE), "bad-manifest"),
    "child without digest": ("*", replaced(NO_DIGEST, INDEX_TYPE), "bad-manifest"),
    "child with a bad digest": ("*", replaced(BAD_DIGEST, INDEX_TYPE), "bad-manifest"),
    "nested too deep": ("*", replaced(DEEP, INDEX_TYPE), "bad-manifest"),
}


@pytest.mark.parametrize(
    ("case", "first_time"),
    [
        *((case, False) for case in UNREADABLE),
        *((case, True) for case, (method, _, _) in UNREADABLE.items() if method != "HEAD"),  # none is sent then
    ],
)
async def test_a_repository_with_a_manifest_that_cannot_be_read_loses_nothing_and_the_others_go_on(
    registry_31: RegistryServer, case: str, first_time: bool
) -> None:
    """The kept index `stable` is what cannot be read; its children are all that the expired v1 and v2 have."""
    method, fault, code = UNREADABLE[case]
    for name in (APP, "team/other"):
        push(registry_31.url, name, AMD, "v1")
        push(registry_31.url, name, ARM, "v2")
        push(registry_31.url, name, NEW, "v3")
    push(registry_31.url, APP, BOTH, "stable")
    with FaultyServer(upstream=registry_31.url) as proxy:
        proxy.when(method, f"/v2/{APP}/manifests/(stable|{BOTH.digest}|{ANSWERED})", fault)
        async with opened(proxy.url, first_time=first_time) as api:
            plan = await planned(api)
            report = await applied(api, plan)
    (problem,) = {each.code for each in plan.problems if each.repository == APP}
    assert problem.startswith(code)
    assert {action.repository for action in plan.actions} == {"team/other"}
    assert report.count("done") == 2
    assert_whole(registry_31.url, ["v1", "v2", "v3", "stable"])
    assert_whole(registry_31.url, ["v3"], "team/other")


async def test_what_a_manifest_of_unknown_type_names_is_kept(registry_31: RegistryServer) -> None:
    """No distribution stores one, so the proxy answers with it: a type of tomorrow that names the expired v1."""
    push(registry_31.url, APP, OLD, "v1")
    push(registry_31.url, APP, NEW, "v2")
    body = json.dumps({"parts": [{"reference": str(OLD.digest)}]}).encode()
    tomorrow = replaced(body, "application/vnd.example.tomorrow.v7+json")
    with FaultyServer(upstream=registry_31.url) as proxy:
        proxy.when("GET", f"/v2/{APP}/tags/list.*", faults.answer(200, b'{"tags":["future","v1","v2"]}', JSON))
        proxy.when("*", f"/v2/{APP}/manifests/(future|{Digest.of(body)})", tomorrow)
        async with opened(proxy.url) as api:
            plan = await planned(api)
            repository = only(await api.read(lambda name: True, NOW))
            report = await applied(api, plan)
    assert [action.action for action in plan.actions] == [ActionKind.DELETE_TAG]
    assert report.is_whole
    assert_whole(registry_31.url, ["v2", OLD.digest])
    assert repository.is_complete
    assert repository.manifests[Digest.of(body)].kind is Kind.UNKNOWN


# Configs and dates.


async def dates(url: str) -> dict[str, datetime | None]:
    repository = only(await read(url))
    assert repository.is_complete
    return {tag.name: repository.created(tag.digest) for tag in repository.tags}


async def test_dates_that_tell_nothing_are_unknown(registry: RegistryServer) -> None:
    odd: dict[str, object] = {
        "absent": None,
        "zero": "0001-01-01T00:00:00Z",
        "epoch": "1970-01-01T00:00:00Z",
        "number": 1760000000,
        "words": "yesterday",
        "day": "2026-11-24",
        "list": [],
    }
    for tag, created in odd.items():
        push(registry.url, APP, image(seed=tag, config_extra={"created": created}), tag)
    push(registry.url, APP, image(seed="zone", config_extra={"created": "2026-01-01T01:00:00.123456789+02:00"}), "zone")
    push(registry.url, APP, image(seed="end", config_extra={"created": "9999-12-31T23:59:59-14:00"}), "end")
    found = await dates(registry.url)
    assert {tag: found[tag] for tag in odd} == dict.fromkeys(odd)
    zone, end = found["zone"], found["end"]
    assert zone is not None
    assert zone.astimezone(UTC).replace(microsecond=0) == datetime(2025, 12, 31, 23, tzinfo=UTC)
    assert end is not None
    async with opened(registry.url) as api:
        await planned(api)


BLOB_404 = faults.answer(404, b'{"errors":[{"code":"BLOB_UNKNOWN"}]}', JSON)


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (BLOB_404, {"unreadable-config": False}),
        (faults.truncated(after=5), {"unreadable-config": False}),
        (faults.changed(lambda whole: replace(whole, body=b" " * (9 << 20))), {"unreadable-config": False}),
        (faults.answer(500), {"unreadable-config": True}),
    ],
    ids=["missing", "cut", "too large", "500"],
)
async def test_a_config_that_cannot_be_had_leaves_the_date_unknown(
    registry_31: RegistryServer, fault: Fault, problem: dict[str, bool]
) -> None:
    push(registry_31.url, APP, OLD, "v1")
    with FaultyServer(upstream=registry_31.url) as proxy:
        proxy.when("GET", f"/v2/{APP}/blobs/.*", fault)
        repository = only(await read(proxy.url))
    assert codes(repository) == problem
    assert repository.created(OLD.digest) is None
    assert set(repository.manifests) == {OLD.digest}


async def test_a_config_that_is_nested_too_deep_tells_nothing(registry: RegistryServer) -> None:
    deep = image(seed="deep")
    body = deep.blobs[0].body[:-1] + b',"x":' + b"[" * DEPTH + b"]" * DEPTH + b"}"
    config = replace(deep.blobs[0], digest=Digest.of(body), body=body)
    document = json.loads(deep.body) | {"config": config.descriptor()}
    manifest = json.dumps(document).encode()
    built = BuiltManifest(Digest.of(manifest), deep.media_type, manifest, (config, *deep.blobs[1:]))
    push(registry.url, APP, built, "deep")
    assert await dates(registry.url) == {"deep": None}


# Empty things.


@pytest.mark.parametrize("listing", [b'{"name":"team/app","tags":null}', b'{"name":"team/app","tags":[]}'])
async def test_a_repository_without_tags_is_complete_and_empty(registry_28: RegistryServer, listing: bytes) -> None:
    push(registry_28.url, APP, OLD, "v1")
    with FaultyServer(upstream=registry_28.url) as proxy:
        proxy.when("GET", ".*/tags/list.*", faults.answer(200, listing, JSON))
        repository = only(await read(proxy.url))
        async with opened(proxy.url) as api:
            assert (await planned(api)).actions == ()
    assert repository == Repository(APP)


async def test_a_repository_that_lost_its_last_tag_is_no_problem(registry: RegistryServer) -> None:
    push(registry.url, APP, OLD, "v1")
    with Connection(registry.url) as connection:
        assert connection.ask("DELETE", f"/v2/{APP}/manifests/{OLD.digest}").status == 202
    assert only(await read(registry.url)) == Repository(APP)


async def test_an_empty_registry(registry: RegistryServer) -> None:
    assert (await read(registry.url)).repositories == ()


async def test_names_that_no_registry_may_have_are_kept_out_of_requests(registry_28: RegistryServer) -> None:
    push(registry_28.url, APP, OLD, "v1")
    listed = json.dumps({"repositories": ["../../etc", "UPPER", APP]}).encode()
    with FaultyServer(upstream=registry_28.url) as proxy:
        proxy.when("GET", "/v2/_catalog.*", faults.answer(200, listed, JSON))
        inventory = await read(proxy.url)
        assert proxy.count("*", ".*(etc|UPPER).*") == 0
    assert {each.name: each.is_complete for each in inventory.repositories} == {
        "../../etc": False,
        "UPPER": False,
        APP: True,
    }


# More than one page.


async def test_more_repositories_and_tags_than_fit_on_a_page(registry: RegistryServer) -> None:
    """The pages are those of the real servers, which the proxy asks for fifty entries instead of a thousand."""
    names = [f"many/r{number:03}" for number in range(130)]
    for name in names:
        push(registry.url, name, OLD, "v1")
    for number in range(1, 120):
        push(registry.url, names[0], NEW, f"t{number}")

    def ask_for_less(exchange: Exchange) -> None:
        exchange.request = replace(exchange.request, path=exchange.request.path.replace("n=1000", "n=50"))
        exchange.send(exchange.normal())

    with FaultyServer(upstream=registry.url) as proxy:
        proxy.when("GET", r"/v2/_catalog.*|.*/tags/list.*", ask_for_less)
        inventory = await read(proxy.url)
        assert proxy.count("GET", "/v2/_catalog.*") == 3
    assert [each.name for each in inventory.repositories] == names
    assert len(inventory.repositories[0].tags) == 120


async def test_delete_by_is_chosen_by_what_the_server_says(registry: RegistryServer) -> None:
    """Over the API alone 3.x is asked to delete tags; only GET and HEAD find that out."""
    push(registry.url, APP, OLD, "v1")
    with FaultyServer(upstream=registry.url) as proxy:
        async with opened(proxy.url, delete_by=None) as api:
            server = (await planned(api)).server
        assert {one.method for one in proxy.requests} <= {"GET", "HEAD"}
    expected = (False, DeleteBy.DIGEST) if registry.version == "2.8" else (True, DeleteBy.TAG)
    assert (server.deletes_tags, server.delete_by) == expected
