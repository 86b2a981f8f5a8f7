"""Paths of the layout, and back from them."""

from hypothesis import given
from hypothesis import strategies as st

from jettison.oci.digest import Digest
from jettison.storage import layout

HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
STRANGE = st.text(max_size=70) | st.text("0123456789abcdefABCDEF \n", min_size=64, max_size=64)


def test_paths_are_those_of_the_registry() -> None:
    digest = Digest("sha256:" + "ab12" * 16)

    assert layout.blob_data(digest) == f"docker/registry/v2/blobs/sha256/ab/{'ab12' * 16}/data"
    assert (
        layout.revision_link("team/app", digest)
        == f"docker/registry/v2/repositories/team/app/_manifests/revisions/sha256/{'ab12' * 16}/link"
    )
    assert layout.layer_link("app", digest) == f"docker/registry/v2/repositories/app/_layers/sha256/{'ab12' * 16}/link"
    assert layout.tag_link("app", "1.0") == "docker/registry/v2/repositories/app/_manifests/tags/1.0/current/link"
    assert layout.uploads_folder("app") == "docker/registry/v2/repositories/app/_uploads"


@given(st.lists(HEX | STRANGE, max_size=6), st.sampled_from(["", "a", "ab"]))
def test_all_names_together_are_judged_as_each_by_itself(names: list[str], prefix: str) -> None:
    found, foreign = layout.digests_of_folders("sha256", names, prefix)

    right = [name for name in names if layout.digest_of_folder("sha256", name) and name.startswith(prefix)]
    assert list(found) == [f"sha256:{name}" for name in right]
    assert foreign == [name for name in names if name not in right]


@given(st.sampled_from(sorted(layout.HEX_LENGTH)), st.binary(max_size=20))
def test_a_folder_of_every_algorithm_is_its_digest(algorithm: str, content: bytes) -> None:
    digest = Digest.of(content, algorithm)

    assert layout.digest_of_folder(algorithm, digest.hex) == digest
    assert layout.digest_of_folder("sha1", digest.hex) is None
    assert layout.parse_link(digest.encode()) == digest
    assert layout.parse_link(digest.encode() + b"\n") is None
    assert layout.parse_link(digest.encode()[:-1]) is None


def test_names_that_are_no_utf8_can_be_printed() -> None:
    assert layout.readable("caf\udce9") == "caf\\xe9"
    assert layout.readable("naïve") == "naïve"
