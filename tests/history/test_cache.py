"""The caches of immutable documents: what goes in comes out, and nothing else ever does."""

import zlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, update

from jettison.history.model import StoredManifest
from jettison.history.schema import manifests
from jettison.history.store import History
from jettison.oci.config import ConfigFacts
from jettison.oci.digest import Digest

TYPE = "application/vnd.oci.image.manifest.v1+json"


def test_nothing_is_known_before_the_first_write(history: History) -> None:
    assert history.manifests.known([Digest.of(b"a")]) == {}
    assert history.configs.known([Digest.of(b"a")]) == {}


def test_many_manifests_come_back_as_they_went_in(history: History) -> None:
    entries = [
        (Digest.of(body, "sha512" if n % 7 == 0 else "sha256"), TYPE, body)
        for n in range(2500)
        if (body := b"%d" % n * 99)
    ]
    history.manifests.remember(entries)
    asked = [digest for digest, _, _ in entries] + [Digest.of(b"unknown")]
    assert history.manifests.known(asked) == {digest: StoredManifest(TYPE, body) for digest, _, body in entries}
    assert history.manifests.known(asked[:1]) == {asked[0]: StoredManifest(TYPE, entries[0][2])}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.text(max_size=30).filter(lambda s: "\0" not in s and s.isprintable()), st.binary(max_size=300))
    )
)
def test_any_bytes_come_back(history: History, documents: list[tuple[str, bytes]]) -> None:
    history.manifests.remember((Digest.of(body), media_type, body) for media_type, body in documents)
    known = history.manifests.known(Digest.of(body) for _, body in documents)
    # Of two media types for one body the later one holds.
    assert known == {Digest.of(body): StoredManifest(media_type, body) for media_type, body in documents}


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 512, 1024, 32767, 32768, 32769, 4 * 1024 * 1024])
def test_a_body_of_any_size_comes_back(history: History, size: int) -> None:
    body = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    history.manifests.remember([(Digest.of(body), TYPE, body)])
    assert history.manifests.known([Digest.of(body)]) == {Digest.of(body): StoredManifest(TYPE, body)}


def test_a_body_under_a_wrong_digest_is_refused(history: History) -> None:
    with pytest.raises(ValueError, match="does not have the digest"):
        history.manifests.remember([(Digest.of(b"a"), TYPE, b"a"), (Digest.of(b"b"), TYPE, b"not b")])
    assert history.manifests.known([Digest.of(b"a"), Digest.of(b"b")]) == {}


@pytest.mark.parametrize("damage", [zlib.compress(b"another"), b"no zlib", b"", zlib.compress(b"true")[:-6]])
def test_a_damaged_body_is_dropped_and_replaced_by_the_next(history: History, location: str, damage: bytes) -> None:
    true, beside = (Digest.of(b"true"), TYPE, b"true"), (Digest.of(b"beside"), TYPE, b"beside")
    history.manifests.remember([true, beside])
    engine = create_engine(location if "://" in location else f"sqlite:///{location}")
    with engine.begin() as connection:
        connection.execute(update(manifests).where(manifests.c.digest == true[0]).values(body=damage))
    engine.dispose()
    assert set(history.manifests.known([true[0], beside[0]])) == {beside[0]}
    history.manifests.remember([true])
    assert set(history.manifests.known([true[0], beside[0]])) == {true[0], beside[0]}


def test_a_body_too_large_to_be_a_manifest_is_not_kept(history: History) -> None:
    body = b" " * (4 * 1024 * 1024 + 1)
    history.manifests.remember([(Digest.of(body), TYPE, body)])
    assert history.manifests.known([Digest.of(body)]) == {}


def test_config_facts_come_back(history: History) -> None:
    facts = {
        Digest.of(b"1"): ConfigFacts(datetime(2026, 11, 24, 5, 30, 12, 345678, tzinfo=UTC), "linux/arm64/v8"),
        Digest.of(b"2"): ConfigFacts(None, None),
        Digest.of(b"3"): ConfigFacts(datetime(1, 1, 1, tzinfo=UTC), "windows/amd64"),
        Digest.of(b"4"): ConfigFacts(
            datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=-11))), "linux/amd64"
        ),
    }
    history.configs.remember(facts.items())
    history.configs.remember(facts.items())
    assert history.configs.known([*facts, Digest.of(b"5")]) == facts


def test_a_date_outside_the_calendar_in_utc_is_left_to_be_read_again(history: History) -> None:
    edge = ConfigFacts(datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=2))), "linux/amd64")
    history.configs.remember([(Digest.of(b"edge"), edge), (Digest.of(b"ok"), ConfigFacts(None, None))])
    assert set(history.configs.known([Digest.of(b"edge"), Digest.of(b"ok")])) == {Digest.of(b"ok")}
