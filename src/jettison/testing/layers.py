"""Layers with random content: valid gzipped tars of exactly the wanted size, the same for the same seed."""

import hashlib
import random
import struct
import tarfile
import zlib
from typing import Final

from jettison.oci.digest import Digest

SMALLEST_LAYER: Final = 256
_GZIP_MAGIC = b"\x1f\x8b"
# Go's gzip reader takes file names up to 511 bytes; the name is what pads a layer to its size.
_LONGEST_NAME = 500


def random_layer(seed: int | str, size: int = 1024) -> bytes:
    """Return a gzipped tar of exactly `size` bytes (256 at least) that holds one file of random content."""
    if size < SMALLEST_LAYER:
        raise ValueError(f"a layer of {size} bytes cannot hold a tar; ask for {SMALLEST_LAYER} at least")
    content = random.Random(f"layer {seed}").randbytes(size)
    taken = size - SMALLEST_LAYER // 2
    while True:
        tar = _tar(content[:taken])
        packed = _deflated(tar)
        # Ten bytes of gzip header, the name with its zero byte, then the checksum and the length.
        spare = size - len(packed) - 10 - 8
        if 1 <= spare <= _LONGEST_NAME:
            header = _GZIP_MAGIC + b"\x08\x08\x00\x00\x00\x00\x00\xff" + b"x" * (spare - 1) + b"\x00"
            return header + packed + struct.pack("<II", zlib.crc32(tar), len(tar))
        taken = max(0, taken + spare - 16)


def diff_id(layer: bytes) -> Digest:
    """Return the digest of a layer's uncompressed content (image-spec, config.md, "Layer DiffID")."""
    if not layer.startswith(_GZIP_MAGIC):
        return Digest.of(layer)
    return Digest(f"sha256:{hashlib.sha256(zlib.decompress(layer, wbits=31)).hexdigest()}")


def _deflated(content: bytes) -> bytes:
    packer = zlib.compressobj(1, wbits=-15)
    return packer.compress(content) + packer.flush()


def _tar(content: bytes) -> bytes:
    member = tarfile.TarInfo("content")
    member.size = len(content)
    padding = -len(content) % tarfile.BLOCKSIZE
    return member.tobuf(tarfile.USTAR_FORMAT) + content + bytes(padding + 2 * tarfile.BLOCKSIZE)
