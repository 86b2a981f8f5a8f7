"""Collect beside a serving registry, again and again, until this process is killed.

    python -m tests.soak.collecting ROOT URL SETTLE [METRICS]

After each collection it prints one line of JSON that says what was done.
"""

import asyncio
import dataclasses
import json
import random
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from tests.app.collecting import FAST, collect

from jettison.app import configuration
from jettison.app.access import Access
from jettison.app.in_flight import watching
from jettison.collect.safety import Barriers, Margins
from jettison.registry.settings import TlsSettings
from jettison.registry.url import RegistryUrl


async def main(root: Path, url: str, settle: float, metrics: Sequence[str]) -> None:
    """Collect for ever: sometimes purging at once, sometimes leaving that to a later run."""
    chance = random.Random()
    address = RegistryUrl.parse(url)
    access = Access(address, None, TlsSettings(), FAST, configuration.Registry(url=url))
    while True:
        async with watching(access, [address], metrics, str(root)) as in_flight:
            report = await collect(
                root,
                url,
                purge_now=chance.random() < 0.5,
                margins=Margins(grace=timedelta(0), retention=timedelta(seconds=2)),
                barriers=Barriers(short=settle, long=settle),
                in_flight=in_flight,
            )
        said = {**dataclasses.asdict(report), "problems": [problem.text for problem in report.problems]}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), sys.argv[4:]))
