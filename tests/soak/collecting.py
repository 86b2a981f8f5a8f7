"""Collect beside a serving registry, again and again, until this process is killed.

    python -m tests.soak.collecting ROOT URL SETTLE

After each collection it prints one line of JSON that says what was done.
"""

import asyncio
import dataclasses
import json
import random
import sys
from datetime import timedelta
from pathlib import Path

from tests.app.collecting import collect

from jettison.collect.safety import Barriers, Margins


async def main(root: Path, url: str, settle: float) -> None:
    """Collect for ever: sometimes purging at once, sometimes leaving that to a later run."""
    chance = random.Random()
    while True:
        report = await collect(
            root,
            url,
            purge_now=chance.random() < 0.5,
            margins=Margins(grace=timedelta(0), retention=timedelta(seconds=2)),
            barriers=Barriers(short=settle, long=settle),
        )
        said = {**dataclasses.asdict(report), "problems": [problem.text for problem in report.problems]}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])))
