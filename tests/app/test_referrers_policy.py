"""A policy that keeps few of the referrers of a kept image, or none of those whose subject is gone, on real servers."""

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
