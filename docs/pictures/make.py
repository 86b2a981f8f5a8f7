"""Draw the pictures of the documentation from real runs: `python docs/pictures/make.py`.

A registry 2.8 is started, the images of a small shop are pushed to it, and what `jettison plan` prints is kept as SVG.
"""

import re
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console

from jettison.cli import render_plan
from jettison.cli.main import run
from jettison.testing.images import image, index, push, random_layer, signature_of, signature_tag
from jettison.testing.registry_server import RegistryServer

HERE = Path(__file__).parent


def fill(url: str, now: datetime) -> None:
    """Push releases of a service, of a site for two platforms, and builds of a branch."""
    base = random_layer("base", 3_000_000)
    for n in range(5):
        created = now - timedelta(days=60 - 12 * n)
        built = image([base, random_layer(f"api-{n}", 900_000)], seed=f"api-{n}", created=created)
        push(url, "shop/api", built, tag=f"1.{n + 7}.0")
        if n == 1:
            push(url, "shop/api", built, tag="latest")
        if n in (0, 4):
            push(url, "shop/api", signature_of(built.digest), tag=signature_tag(built.digest))
    for n in range(4):
        created = now - timedelta(days=30 - 9 * n)
        platforms = [
            image(
                [random_layer(f"web-{n}-{arch}", 700_000)], seed=f"web-{n}", created=created, platform=f"linux/{arch}"
            )
            for arch in ("amd64", "arm64")
        ]
        push(url, "shop/web", index(platforms), tag=f"2.{n}.0")


def main() -> None:
    """Draw docs/pictures/plan.svg."""
    recorder = Console(record=True, width=132, file=sys.stderr, force_terminal=True, highlight=False)
    render_plan.console = lambda: recorder  # type: ignore[assignment]  # the console that records
    with tempfile.TemporaryDirectory() as folder, RegistryServer("2.8", Path(folder) / "root", port=5000) as server:
        fill(server.url, datetime.now(UTC))
        command = ["plan", server.url, "--keep", "2", "--history", f"{folder}/history.db"]
        recorder.print("$ jettison plan http://127.0.0.1:5000 --keep 2", style="bold")
        if run(command) != 0:
            raise SystemExit("the plan failed")
    picture = recorder.export_svg(title="jettison plan", unique_id="plan")
    # The reader's own fonts do; nothing is fetched from elsewhere.
    (HERE / "plan.svg").write_text(re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL))


if __name__ == "__main__":
    main()
