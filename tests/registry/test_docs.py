"""The example of docs/registry-client.md runs, and its table names methods that exist."""

import re
import subprocess
import sys
from pathlib import Path

from jettison.registry.client import RegistryClient
from jettison.testing.images import image, push
from jettison.testing.registry_server import RegistryServer

PAGE = (Path(__file__).parents[2] / "docs/registry-client.md").read_text()


def test_the_example_runs(registry: RegistryServer, tmp_path: Path) -> None:
    built = image()
    push(registry.url, "team/app", built, "1.0")
    push(registry.url, "team/other", built, "2.0")
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    script = tmp_path / "example.py"
    script.write_text(example)
    done = subprocess.run([sys.executable, script, registry.url], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[:3] for line in done.stdout.splitlines()] == [
        ["team/app", "1.0", built.digest],
        ["team/other", "2.0", built.digest],
    ]


def test_every_public_method_is_described() -> None:
    methods = {name for name in vars(RegistryClient) if not name.startswith("_")}
    rows = "".join(line for line in PAGE.splitlines() if line.startswith("| `"))
    assert {name for name in methods if not re.search(rf"`{name}\b", rows)} == set()


def test_importing_the_package_is_cheap() -> None:
    program = "import sys, jettison.registry; print('aiohttp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
