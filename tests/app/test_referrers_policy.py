"""What belongs to an image and is decided by itself, on real servers: referrers, platforms, and images without tags."""

from tests.app.cleaning import APP, applied, assert_whole, opened, outcome, planned

from jettison.policy.parse import parse_policy
from jettison.testing.connection import Connection
from jettison.testing.images import artifact, image, index, push, referrers_tag, signature_of, signature_tag
from jettison.testing.registry_server import RegistryServer

SUBJECT, STRANGER = image(seed="subject"), image(seed="stranger")
SIGNATURE, LOST = signature_of(SUBJECT.digest), signature_of(STRANGER.digest)
POLICY = """
policies:
  - repositories: ["**"]
    rules: [{tags: "v*", keep: {everything: true}}]
    referrers: {of_kept: {keep: {nothing: true}}, orphaned: {keep: {nothing: true}}}
"""


def is_there(url: str, reference: str) -> bool:
    with Connection(url) as connection:
        accept = {"Accept": "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"}
        return connection.ask("HEAD", f"/v2/{APP}/manifests/{reference}", headers=accept).status == 200


async def test_a_referrer_goes_alone_and_its_subject_stays(registry: RegistryServer) -> None:
    push(registry.url, APP, SUBJECT, "v1")
    push(registry.url, APP, SIGNATURE, signature_tag(SUBJECT.digest))
    push(registry.url, APP, LOST, signature_tag(STRANGER.digest))
    async with opened(registry.url) as api:
        plan = await planned(api, parse_policy(POLICY, "policy.yaml"))
        report = await applied(api, plan)
    assert outcome(report, SIGNATURE.digest)[0] == "done"
    assert outcome(report, LOST.digest)[0] == "done"
    assert len(report.done) == 2
    assert_whole(registry.url, ["v1"])
    assert not is_there(registry.url, signature_tag(SUBJECT.digest))


async def test_a_subject_that_comes_back_keeps_its_referrer(registry: RegistryServer) -> None:
    push(registry.url, APP, SUBJECT, "v1")
    push(registry.url, APP, LOST, signature_tag(STRANGER.digest))
    async with opened(registry.url) as api:
        plan = await planned(api, parse_policy(POLICY, "policy.yaml"))
        push(registry.url, APP, STRANGER, "v2")
        report = await applied(api, plan)
    assert outcome(report, LOST.digest)[0] == "skipped"
    assert is_there(registry.url, signature_tag(STRANGER.digest))


async def test_what_an_index_of_referrers_lists_is_no_action(registry: RegistryServer) -> None:
    sbom = artifact([b"sbom"], subject=SUBJECT)
    push(registry.url, APP, SUBJECT, "v1")
    push(registry.url, APP, index([sbom]), referrers_tag(SUBJECT.digest))
    async with opened(registry.url) as api:
        plan = await planned(api, parse_policy(POLICY, "policy.yaml"))
    assert plan.actions == ()


async def test_platforms_and_referrers_outlive_what_they_belong_to(registry: RegistryServer) -> None:
    spared, top = image(seed="platform"), image(seed="other platform")
    both = index([spared, top])
    sbom = artifact([b"sbom"], subject=both)
    push(registry.url, APP, both, "old")
    push(registry.url, APP, sbom)
    push(registry.url, APP, index([sbom]), referrers_tag(both.digest))
    push(registry.url, APP, SUBJECT, "v1")
    text = POLICY.partition("    referrers")[0].replace("rules: [", "rules: [{tags: old, keep: {nothing: true}}, ")
    text += f"""
    platforms: {{of_expired: {{keep: {{digest: "{spared.digest}"}}}}}}
    referrers: {{of_expired: {{keep: {{everything: true}}}}}}
"""
    async with opened(registry.url) as api:
        plan = await planned(api, parse_policy(text, "policy.yaml"))
        report = await applied(api, plan)
    assert [(each.action.digest, each.result) for each in report.done] == [(both.digest, "done"), (top.digest, "done")]
    assert_whole(registry.url, ["v1"])
    assert is_there(registry.url, spared.digest)
    assert is_there(registry.url, sbom.digest)


async def test_an_image_outlives_its_last_tag(registry: RegistryServer) -> None:
    push(registry.url, APP, SUBJECT, "v1")
    push(registry.url, APP, STRANGER, "old")
    text = """
policies:
  - {repositories: ["**"], rules: [{tags: old, keep: {nothing: true}}], images_outlive_tags: true}
"""
    async with opened(registry.url) as api:
        plan = await planned(api, parse_policy(text, "policy.yaml"))
        report = await applied(api, plan)
    if plan.server.deletes_tags is False:
        assert (plan.actions, [each.tag for each in plan.stays]) == ((), ["old"])
    else:
        assert [(each.action.tags, each.result) for each in report.done] == [(("old",), "done")]
        assert not is_there(registry.url, "old")
    assert is_there(registry.url, STRANGER.digest)
    assert_whole(registry.url, ["v1"])
