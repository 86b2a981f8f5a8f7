"""Make a plan: read the registry, decide by the policy, build. Nothing here writes to the registry."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from jettison.app.registries import AnyRegistry
from jettison.plan.build import build_plan
from jettison.plan.codec import seal
from jettison.plan.model import Plan
from jettison.policy.evaluate import decide
from jettison.policy.model import Policy

if TYPE_CHECKING:
    from jettison.app.use import Used


async def make_plan(
    registry: AnyRegistry,
    policy: Policy,
    *,
    policy_name: str,
    now: datetime,
    wanted: Callable[[str], bool] = lambda name: True,
    with_kept: bool = False,
    partial: bool = False,
    used: "Used | None" = None,
) -> Plan:
    """Read `registry` and return the sealed plan by which `policy` would clean it.

    `wanted` limits the repositories that are read; `partial` says whether it does, or whether a list does. `used`:
    what the sources of images in use told.
    """
    inventory = await registry.read(wanted, now)
    server = await registry.server(inventory)
    return seal(
        build_plan(
            inventory,
            decide(inventory, policy, now, used.in_use if used is not None else None),
            policy=policy_name,
            limits=policy.limits,
            server=server,
            now=now,
            with_kept=with_kept,
            partial=partial,
            in_use=used.asked(inventory) if used is not None else None,
        )
    )
