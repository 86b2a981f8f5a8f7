"""What runs stays, whatever the policy: on random repositories, with anything in use."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.properties.test_kept_images_are_whole import needs, repositories

from jettison.oci.digest import Digest
from jettison.oci.inventory import Repository
from jettison.oci.reference import subject_of_tag
from jettison.policy.decision import RepositoryDecisions
from jettison.policy.evaluate import decide_repository
from jettison.policy.in_use import ImageName, InUse, RegistryNames, UsedImage
from jettison.policy.parse import parse_policy
from jettison.testing.inventories import NOW

NAMES = RegistryNames.of(["registry.example"])
POLICIES = {
    name: parse_policy(text + "limits: {last_image: allow}", name)
    for name, text in {
        "nothing": """
policies:
  - repositories: ["**"]
    rules: [{name: all, tags: "*", keep: {nothing: true}}]
    untagged: {keep: {nothing: true}}
""",
        "some": """
policies:
  - repositories: ["**"]
    rules: [{name: versions, tags: {version: "*"}, keep: {newest: 1}}, {name: rest, tags: "*", keep: {nothing: true}}]
    untagged: {keep: {nothing: true}}
""",
        "images": """
policies:
  - repositories: ["**"]
    unit: image
    rules: [{name: all, tags: {glob: "*", untagged: true}, keep: {newest: 1, by: name}}]
""",
    }.items()
}


def used_images(repository: Repository, tags: set[str], digests: set[Digest]) -> InUse:
    images = [UsedImage(ImageName("registry.example", repository.name, tag=tag), "a pod") for tag in tags]
    images += [UsedImage(ImageName("registry.example", repository.name, digest=digest), "a pod") for digest in digests]
    return InUse.of(images, NAMES)


def kept(decided: RepositoryDecisions) -> tuple[set[str], set[Digest]]:
    tags = {each.tag.name for each in decided.tags if each.kept}
    return tags, {digest for digest, each in decided.manifests.items() if each.kept}


@given(repositories(), st.sampled_from(sorted(POLICIES)), st.data())
@settings(max_examples=300, deadline=None)
def test_what_is_in_use_stays_whole_and_takes_no_place(repository: Repository, name: str, data: st.DataObject) -> None:
    points_to = {tag.name: tag.digest for tag in repository.tags}
    tags = data.draw(st.sets(st.sampled_from(sorted(points_to)))) if points_to else set()
    digests = data.draw(st.sets(st.sampled_from(sorted(repository.manifests))))
    policy = POLICIES[name]
    tags_without, manifests_without = kept(decide_repository(repository, policy, NOW))
    tags_with, manifests_with = kept(decide_repository(repository, policy, NOW, used_images(repository, tags, digests)))
    # It stays, with every manifest that a pull of it fetches, and with the tags of a digest in use.
    assert tags <= tags_with
    assert {tag for tag, digest in points_to.items() if digest in digests} <= tags_with
    for digest in {*digests, *(points_to[tag] for tag in tags)}:
        assert needs(repository.manifests, digest) <= manifests_with
    # It only adds: nothing goes because something else is in use.
    assert tags_without <= tags_with
    assert manifests_without <= manifests_with
    # It changes no count: whatever stays besides follows something, or is in use itself.
    if name != "images":
        for tag in tags_with - tags_without:
            assert tag in tags or points_to[tag] in digests or subject_of_tag(tag) is not None
    if not tags and not digests:
        assert (tags_without, manifests_without) == (tags_with, manifests_with)
