"""A repository with an image of schema 1, as registries of ten years have: it is kept, and the others are cleaned."""

import asyncio
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from jettison.app.make_plan import make_plan
from jettison.app.registries import ApiRegistry
from jettison.history.store import History
from jettison.plan.model import Plan
from jettison.policy.parse import parse_policy
from jettison.registry.client import RegistryClient
from jettison.registry.inventory import RegistryReader
from jettison.testing import programs
from jettison.testing.images import image, push
from jettison.testing.registry_server import RegistryServer

ALL_BUT_ONE = "policies: [{repositories: ['**'], rules: [{tags: '*', keep: {newest: 1, by: name}}]}]"


def test_an_old_image_is_kept_and_hinders_nothing(
    make_registry: Callable[..., RegistryServer], need: Callable[..., Path], tmp_path: Path
) -> None:
    skopeo = need(programs.skopeo())
    server = make_registry("2.8", extra={"compatibility": {"schema1": {"enabled": True}}})
    history = [{"created": "2015-01-01T00:00:00Z", "created_by": "sh"}]
    for tag in ("2.0", "3.0"):
        push(server.url, "old/app", image(seed=tag, media="docker", config_extra={"history": history}), tag=tag)
    source, target = (f"docker://{server.host}/old/app:{tag}" for tag in ("2.0", "1.0"))
    command = [
        str(skopeo),
        "copy",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
        "--format",
        "v2s1",
        source,
        target,
    ]
    subprocess.run(command, check=True, capture_output=True)
    known = History.open(tmp_path / "history.db")

    async def plan() -> Plan:
        async with RegistryClient(server.url) as client:
            reader = RegistryReader(client, manifests=known.manifests, configs=known.configs)
            return await make_plan(
                ApiRegistry(client, reader),
                parse_policy(ALL_BUT_ONE, "test"),
                policy_name="test",
                now=datetime.now(UTC),
                with_kept=True,
            )

    for made in (asyncio.run(plan()), asyncio.run(plan())):
        assert not [problem for problem in made.problems if "date is unknown" not in problem.text]
        assert [action.tags for action in made.actions] == [("2.0",)]
        reasons = {stay.tag: stay.reason.code for stay in made.kept or ()}
        assert reasons == {"1.0": "unknown-manifest", "3.0": "newest"}
