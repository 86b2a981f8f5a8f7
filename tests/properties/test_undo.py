"""Promise 5 on random storages: apply then undo is the identity on what clients can see."""

import asyncio
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.app.undoing import NOW, MemoryRun, cleaned, seen, undone

from jettison.app.collect_offline import OfflineCollector
from jettison.app.undo_look import Selection
from jettison.collect.safety import AT_ONCE
from jettison.storage.lease import take_lease
from jettison.storage.local import LocalStorage
from jettison.testing.built import BuiltManifest
from jettison.testing.images import artifact, image, index, referrers_tag, signature_of, signature_tag
from jettison.testing.storage_tree import StorageTree

NAMES = ["1.0", "1.1", "1.2", "2.0", "2.0-rc.1", "latest", "main"]
IMAGES = [
    image(seed=n, size=256, platform=f"linux/{n}", layer_algorithm="sha512" if n == 3 else "sha256") for n in range(5)
]
REPOSITORIES = ["app", "team/web"]


@dataclass(frozen=True)
class Stock:
    """What a storage holds: by repository, tags and untagged manifests."""

    tags: Mapping[str, Mapping[str, BuiltManifest]]
    untagged: Mapping[str, tuple[BuiltManifest, ...]]

    def lay_out(self, root: Path) -> None:
        tree = StorageTree(root)
        for name, tags in self.tags.items():
            for tag, built in tags.items():
                tree.add(name, built, [tag], NOW - timedelta(days=9))
        for name, each in self.untagged.items():
            for built in each:
                tree.add(name, built, (), NOW - timedelta(days=9))


@st.composite
def stocks(draw: st.DrawFn) -> Stock:
    tags: dict[str, dict[str, BuiltManifest]] = {}
    untagged: dict[str, tuple[BuiltManifest, ...]] = {}
    for name in REPOSITORIES:
        stock = list(
            draw(st.lists(st.sampled_from(IMAGES), min_size=1, max_size=3, unique_by=lambda each: each.digest))
        )
        for _ in range(draw(st.integers(0, 2))):
            children = draw(
                st.lists(st.sampled_from(stock), min_size=1, max_size=3, unique_by=lambda each: each.digest)
            )
            stock.append(index(children))
        mine: dict[str, BuiltManifest] = {}
        alone: list[BuiltManifest] = []
        for each in list(stock):
            match draw(st.sampled_from(["none", "signature", "artifact", "listed"])):
                case "signature":
                    mine[signature_tag(each.digest)] = signature_of(each.digest)
                case "artifact":
                    alone.append(artifact([b"sbom"], subject=each))
                case "listed":
                    mine[referrers_tag(each.digest)] = index([artifact([b"attestation"], subject=each)])
        for tag in draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=6, unique=True)):
            mine[tag] = draw(st.sampled_from(stock))
        tags[name], untagged[name] = mine, tuple(alone)
    return Stock(tags, untagged)


def collected(root: Path, run: MemoryRun) -> None:
    """Collect offline into the quarantine, as the same run."""
    storage = LocalStorage(root)
    with take_lease(storage.name, "tests") as lease:
        OfflineCollector(lease, storage, margins=AT_ONCE, run=run.id, now=lambda: NOW).collect(purge_now=False)


@settings(max_examples=40, deadline=None)
@given(stocks(), st.sampled_from(["none", "same run", "another run"]))
def test_apply_then_undo_is_the_identity(stock: Stock, collection: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve() / "registry"
        stock.lay_out(root)
        before, before_pullable = seen(root), pullable(root)
        run = asyncio.run(cleaned(root))
        after, deleted = seen(root), tags_and_manifests(root)
        if collection != "none":
            collected(root, run if collection == "same run" else MemoryRun("20261124-123000-0009"))

        undo, report = asyncio.run(undone(root, run))
        assert report.status == 0, report.lost
        assert pullable(root) == before_pullable
        if collection != "another run":
            # What nothing had needed before, another run's collection keeps until that run is undone.
            assert seen(root) == before

        again, report = asyncio.run(undone(root, run, identifier="20261124-140000-0003"))
        assert report.status == 0, report.lost
        assert again.actions == []
        assert pullable(root) == before_pullable

        third, report = asyncio.run(undone(root, undo, identifier="20261124-150000-0004"))
        assert report.status == 0, report.lost
        assert tags_and_manifests(root) == deleted
        if collection == "none":
            assert seen(root) == after

        _, report = asyncio.run(undone(root, third, identifier="20261124-160000-0005"))
        assert report.status == 0, report.lost
        assert pullable(root) == before_pullable


@settings(max_examples=40, deadline=None)
@given(stocks(), st.data())
def test_undoing_one_tag_brings_that_image_whole_and_nothing_else(stock: Stock, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve() / "registry"
        stock.lay_out(root)
        before = pullable(root)
        run = asyncio.run(cleaned(root))
        gone = [
            (each.action.repository, tag) for each in run.actions if each.result == "done" for tag in each.action.tags
        ]
        if not gone:
            return
        deleted = tags_and_manifests(root)
        name, tag = data.draw(st.sampled_from(sorted(gone)))
        collected(root, run)

        selection = Selection(lambda each: each == name, lambda each: each == tag, is_whole=False)
        _, report = asyncio.run(undone(root, run, selection))
        assert report.status == 0, report.lost
        now = tags_and_manifests(root)
        wanted = before[name][0][tag]
        assert now[name][0][tag] == wanted
        assert {other: each for other, each in now.items() if other != name} == {
            other: each for other, each in deleted.items() if other != name
        }
        for digest in below(wanted, before[name][1]):
            assert pullable(root)[name][1][digest] == before[name][1][digest]
        extra = set(now[name][0]) - set(deleted.get(name, ({}, set()))[0])
        assert all(each == tag or each.startswith("sha256-") for each in extra)


def pullable(root: Path) -> dict[str, tuple[dict[str, str], dict[str, list[str]]]]:
    """Return tags, and manifests with what they refer to, by repository; fail where a blob of one cannot be pulled."""
    found = {}
    for name, (tags, manifests, blobs) in seen(root).items():
        refers: dict[str, list[str]] = {}
        for digest in manifests:
            hexadecimal = digest.partition(":")[2]
            path = root / "docker/registry/v2/blobs/sha256" / hexadecimal[:2] / hexadecimal / "data"
            document = json.loads(path.read_bytes())
            layers = [each["digest"] for each in (document.get("config"), *document.get("layers", ())) if each]
            assert set(layers) <= blobs, f"{name}@{digest} does not pull whole"
            children = [each["digest"] for each in document.get("manifests", ())]
            assert set(children) <= manifests, f"{name}@{digest} lacks a child"
            refers[digest] = children
        if tags or refers:
            found[name] = (tags, refers)
        assert set(tags.values()) <= manifests
    return found


def below(digest: str, refers: Mapping[str, list[str]]) -> set[str]:
    found = {digest}
    for child in refers[digest]:
        found |= below(child, refers)
    return found


def tags_and_manifests(root: Path) -> dict[str, tuple[dict[str, str], set[str]]]:
    """Return what clients see but blobs, which may be there without being needed."""
    return {name: (tags, manifests) for name, (tags, manifests, _) in seen(root).items() if tags or manifests}
