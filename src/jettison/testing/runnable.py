"""A container image that runs: a static busybox that sleeps, as a registry serves it."""

import gzip
import io
import tarfile

from jettison.testing.built import BuiltManifest
from jettison.testing.images import image
from jettison.testing.programs import busybox, require


def sleeping_image(seed: str) -> BuiltManifest:
    """Return an image whose container sleeps for an hour. Raises MissingPartError where busybox is not here."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as layer:
        entry = tarfile.TarInfo("bin/busybox")
        body = require(busybox()).read_bytes()
        entry.size, entry.mode = len(body), 0o755
        layer.addfile(entry, io.BytesIO(body))
    command = {"config": {"Cmd": ["/bin/busybox", "sleep", "3600"], "Labels": {"seed": seed}}}
    return image([gzip.compress(archive.getvalue(), 1, mtime=0)], seed=seed, media="docker", config_extra=command)
