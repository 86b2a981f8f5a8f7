"""Repositories as inventory values, made from built images without any registry."""

from collections.abc import Mapping
from datetime import UTC, datetime

from jettison.oci.config import ConfigFacts, parse_config
from jettison.oci.digest import Digest
from jettison.oci.inventory import Inventory, Problem, Repository, Tag
from jettison.oci.manifest import Manifest, parse_manifest
from jettison.testing.built import BuiltManifest

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
"""The moment at which tests decide; nothing here looks at a clock."""


def repository(
    name: str,
    tags: Mapping[str, BuiltManifest],
    *,
    untagged: tuple[BuiltManifest, ...] = (),
    pushed: Mapping[str, datetime] | None = None,
    problems: tuple[Problem, ...] = (),
    leftovers: tuple[BuiltManifest, ...] = (),
) -> Repository:
    """Return the repository that a registry would have after these tags and untagged manifests were pushed."""
    manifests: dict[Digest, Manifest] = {}
    facts: dict[Digest, ConfigFacts] = {}
    for top in (*tags.values(), *untagged, *leftovers):
        for built in top.walk():
            manifest = parse_manifest(built.digest, built.body, built.media_type)
            manifests[built.digest] = manifest
            for blob in built.blobs:
                if manifest.config is not None and blob.digest == manifest.config.digest:
                    facts[blob.digest] = parse_config(blob.body)
    times = pushed or {}
    return Repository(
        name,
        tuple(Tag(tag, tags[tag].digest, times.get(tag)) for tag in sorted(tags)),
        dict(sorted(manifests.items())),
        facts,
        problems,
        frozenset(built.digest for built in leftovers),
    )


def inventory(*repositories: Repository, registry: str = "http://registry.example:5000") -> Inventory:
    """Return an inventory of these repositories, taken at NOW."""
    return Inventory(registry, "api", NOW, tuple(sorted(repositories, key=lambda each: each.name)))
