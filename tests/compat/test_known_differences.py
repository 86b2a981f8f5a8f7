"""Each documented difference from the registry's own collector alone, smallest case, both versions.

What the random trees meet by chance is asserted here one by one: what the server does wrong, and what we do instead.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.compat.collectors import Ours, Theirs, ours, sizes_on_disk, theirs
from tests.compat.laid_out import LaidOut

from jettison.oci.digest import Digest
from jettison.storage import layout
from jettison.testing.images import artifact, image, index, oci_artifact_manifest, signature_of, signature_tag
from jettison.testing.programs import REGISTRY_VERSIONS, Missing, RegistryVersion, registry_binary
from jettison.testing.registry_server import RegistryServer

pytestmark = pytest.mark.real

GOING = image([b"going"], seed="going")
ONE = image([b"one"], seed="one")
TWO = image([b"two"], seed="two", platform="linux/arm64")


@dataclass
class Both:
    their: Theirs
    our: Ours

    def lost(self) -> set[Digest]:
        """Return what they remove and we keep."""
        return self.their.removed - self.our.removed


@pytest.fixture(params=REGISTRY_VERSIONS)
def version(request: pytest.FixtureRequest, need: Callable[[Path | Missing], Path]) -> RegistryVersion:
    need(registry_binary(request.param))
    version: RegistryVersion = request.param
    return version


@pytest.fixture
def laid_out(tmp_path: Path) -> LaidOut:
    """Return a tree with an image that nothing refers to any more, which every collector should remove."""
    made = LaidOut(tmp_path / "registry")
    made.add("sound", GOING)
    made.unlink("sound", GOING.digest, folder=False)
    return made


def _collect(laid_out: LaidOut, version: RegistryVersion) -> Both:
    both = Both(theirs(version, laid_out.root, dry_run=False), ours(laid_out.root))
    assert both.our.removed >= set(GOING.sizes()), "what nothing refers to goes in any case"
    return both


def test_an_index_keeps_the_contents_of_a_platform_whose_revision_is_gone(
    laid_out: LaidOut, version: RegistryVersion
) -> None:
    laid_out.add("app", index([ONE, TWO]), ["1"])
    laid_out.unlink("app", ONE.digest, folder=True)

    both = _collect(laid_out, version)

    # They keep the platform's manifest, and take its config and layer.
    assert both.lost() == {blob.digest for blob in ONE.blobs}


def test_the_subject_of_a_kept_manifest_stays(laid_out: LaidOut, version: RegistryVersion) -> None:
    laid_out.add("app", ONE)
    laid_out.add("app", artifact([b"sbom"], subject=ONE), ["sbom"])
    laid_out.unlink("app", ONE.digest, folder=False)

    assert _collect(laid_out, version).lost() == set(ONE.sizes())


def test_a_layer_pushed_under_sha512_stays(laid_out: LaidOut, version: RegistryVersion) -> None:
    laid_out.add("app", image([b"named otherwise"], seed="sha512", layer_algorithm="sha512"), ["1"])

    both = _collect(laid_out, version)

    assert both.lost() == {Digest.of(b"named otherwise")}
    # The layer has two links, one by each name, and both name the blob that 3.1 has removed: it tries to remove the
    # same link twice, fails, and leaves the other links of what it removed.
    assert ("failed to delete layer link" in both.their.error) == (version == "3.1")


def test_an_empty_registry_is_nothing_to_collect_and_no_failure(tmp_path: Path, version: RegistryVersion) -> None:
    (tmp_path / "registry" / layout.BASE).mkdir(parents=True)

    assert "Path not found" in theirs(version, tmp_path / "registry", dry_run=True).error
    assert ours(tmp_path / "registry") == Ours(set(), set(), set())


@pytest.mark.parametrize("length", [0, 40])
def test_a_broken_link_stops_them_and_not_us(laid_out: LaidOut, version: RegistryVersion, length: int) -> None:
    laid_out.add("app", ONE, ["1"])
    laid_out.add("app", TWO)
    laid_out.unlink("app", TWO.digest, folder=True)
    (laid_out.revision("app", ONE.digest) / "link").write_text(ONE.digest[:length])

    both = _collect(laid_out, version)

    assert "invalid checksum digest" in both.their.error
    assert both.their.removed == set()
    # The damaged repository keeps all layers that it links, needed or not; the body of TWO it does not link any more.
    assert both.our.removed == {*GOING.sizes(), TWO.digest}
    assert both.our.broken == {"app"}


@pytest.mark.parametrize("content", [b"", b'{"schemaVersion":2'])
def test_a_damaged_manifest_stops_them_and_not_us(laid_out: LaidOut, version: RegistryVersion, content: bytes) -> None:
    laid_out.add("app", ONE, ["1"])
    laid_out.data(ONE.digest).write_bytes(content)

    both = _collect(laid_out, version)

    assert "failed to retrieve manifest" in both.their.error
    assert both.their.removed == set()
    assert both.our.removed == set(GOING.sizes())
    assert both.our.broken == {"app"}


def test_a_manifest_of_a_type_that_the_server_does_not_know_stops_them_and_not_us(
    laid_out: LaidOut, version: RegistryVersion
) -> None:
    laid_out.add("app", oci_artifact_manifest([b"an artifact of 2022"]), ["1"])

    both = _collect(laid_out, version)

    assert "unrecognized manifest schema version" in both.their.error
    assert both.our.removed == set(GOING.sizes())
    assert both.our.broken == set()


def test_a_missing_manifest_costs_its_repository_nothing_more(laid_out: LaidOut, version: RegistryVersion) -> None:
    images = [image([f"{number}".encode()], seed=number) for number in range(6)]
    for built in images:
        laid_out.add("app", built, [f"{built.digest.short}"])
    for built in images[:3]:
        laid_out.data(built.digest).unlink()

    both = _collect(laid_out, version)

    # They take at least what those manifests need, and of the rest of the repository whatever they had not come to.
    assert not both.their.error
    assert both.lost() >= {blob.digest for built in images[:3] for blob in built.blobs}
    assert both.our.broken == {"app"}


def test_a_manifest_with_another_content_costs_its_repository_nothing(
    laid_out: LaidOut, version: RegistryVersion
) -> None:
    laid_out.add("app", ONE, ["1"])
    laid_out.data(ONE.digest).write_bytes(image(seed="something else").body)

    both = _collect(laid_out, version)

    assert both.lost() == {blob.digest for blob in ONE.blobs}
    assert both.our.broken == {"app"}


def test_a_tag_whose_revision_is_gone_keeps_what_it_points_to(laid_out: LaidOut, version: RegistryVersion) -> None:
    laid_out.add("app", ONE, ["1"])
    shutil.rmtree(laid_out.revision("app", ONE.digest))

    both = _collect(laid_out, version)

    assert both.lost() == set(ONE.sizes())
    assert both.our.broken == {"app"}


def test_a_repository_without_layer_links_stops_3_1_and_not_us(laid_out: LaidOut, version: RegistryVersion) -> None:
    for folder in ("tags", "revisions"):
        (laid_out.path("app") / "_manifests" / folder).mkdir(parents=True)

    both = _collect(laid_out, version)

    assert bool(both.their.error) == (version == "3.1")
    assert both.our.broken == set()


def test_delete_untagged_takes_platforms_and_referrers_which_is_why_nothing_compares_to_it(
    laid_out: LaidOut, version: RegistryVersion
) -> None:
    """Documented (design, "The registry's storage"): 2.8 takes the platforms of tagged indexes, both take referrers."""
    referrer = artifact([b"sbom"], subject=ONE)
    laid_out.add("app", index([ONE, TWO]), ["1"])
    laid_out.add("app", signature_of(ONE.digest), [signature_tag(ONE.digest)])
    laid_out.add("app", referrer)
    copy = laid_out.root.with_name("copy")
    shutil.copytree(laid_out.root, copy)

    RegistryServer(version, copy).garbage_collect(delete_untagged=True)
    our = ours(laid_out.root)

    assert our.removed == set(GOING.sizes())
    lost = sizes_on_disk(laid_out.root).keys() - sizes_on_disk(copy).keys()
    # The bodies of the platforms' manifests stay, unlinked: whoever pulls the index is told that they are unknown.
    platforms = {blob.digest for built in (ONE, TWO) for blob in built.blobs}
    assert lost == {*(platforms if version == "2.8" else ()), *referrer.sizes()}
