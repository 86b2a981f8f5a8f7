"""A short soak on each real server: nothing that was accepted is lost, and nothing is left in quarantine.

`make soak MINUTES=60` runs it for long, `make soak-compare` with the registry's own collector.
"""

import os
import sys

from tests.app.collecting import data_of
from tests.soak.load import Load, Unit
from tests.soak.soak import soak

from jettison.testing.images import image, push
from jettison.testing.registry_server import RegistryServer

SECONDS = float(os.environ.get("JETTISON_SOAK_SECONDS", "18"))


def test_nothing_that_was_accepted_is_lost(registry: RegistryServer) -> None:
    outcome = soak(registry, seconds=SECONDS, settle=0.4, seed=7)
    # pytest -rP shows what it did.
    sys.stdout.write(f"soak on registry {registry.version}: {outcome}\n")
    assert outcome.losses == ()
    assert outcome.problems == ()
    assert outcome.counts["purged"] + outcome.counts["restored"] > 0


def test_the_judge_sees_a_loss(registry_28: RegistryServer) -> None:
    built = image(seed="lost")
    push(registry_28.url, "team/app", built, "tag")
    load = Load(registry_28.url, registry_28.root)
    load.ledger.accept(Unit("team/app", ((built, "tag"),)), built.digest)
    load.judge()
    assert not load.ledger.losses
    data_of(registry_28.root, built.blobs[1].digest).unlink()
    load.judge()
    assert [loss.digest for loss in load.ledger.losses] == [built.digest]
