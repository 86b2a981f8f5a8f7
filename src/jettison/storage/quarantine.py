"""Quarantine on a local file system: `<root>/jettison/quarantine/<collection>/`, restorable until it is purged.

    record.json              what was condemned, and every repository that may know it; written before all else
    <algorithm>-<hex>        the data of a blob, renamed here

A rename on one file system moves a blob without copying it, takes no space, and is done or not done, whatever crashes.
The folder of a blob stays behind, since a registry that is about to commit an upload into it would fail without it.
"""

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

from jettison.collect.quarantine import Collected, Suspect
from jettison.collect.references import DigestText
from jettison.errors import StorageError
from jettison.oci.digest import Digest
from jettison.oci.problem import Problem
from jettison.storage import layout
from jettison.storage.files import TooLargeError, names_in, open_folder, open_own_folder, read_file
from jettison.storage.lease import Lease
from jettison.storage.own import make_own_folder
from jettison.storage.refusal import way_out

PLACE: Final = layout.QUARANTINE
RECORD: Final = "record.json"
RESERVE: Final = f"{layout.OWN}/reserve"
RESERVED_BYTES: Final = 4 << 20
"""What is kept free for a record, so that a collection can begin on a full disk: 4 MiB hold some 20,000 blobs."""
LENT_BYTES: Final = 256 << 10
"""What is kept free beside it for the server, which must be able to begin an upload, to show that it works here."""
_NAME = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")
_LARGEST_RECORD: Final = 1 << 30

Back = Literal["restored", "present", "missing"]
"""How it ended: renamed back; uploaded anew meanwhile, so the copy was dropped; nothing was in quarantine."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of one blob: bytes moved, or why it stays."""

    digest: DigestText
    size: int
    problem: Problem | None = None


class QuarantineReader:
    """What is in quarantine below a storage's root; looking needs no lease, and writes nothing."""

    def __init__(self, root: str) -> None:
        self._root = root

    def collections(self) -> tuple[Collected, ...]:
        """Return what is in quarantine, the oldest first. Raises StorageError for a record that cannot be read.

        A collection without suspects has lost its record, or never had one: all that it holds must come back.
        """
        try:
            names = sorted(name for name in names_in(f"{self._root}/{PLACE}") if _NAME.fullmatch(name))
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise StorageError(f"{self._root}/{PLACE} cannot be listed: {error.strerror}") from error
        return tuple(self._read_record(name) for name in names)

    def held(self, collected: Collected) -> dict[DigestText, int]:
        """Return the digests whose data is in quarantine, with its bytes."""
        found: dict[DigestText, int] = {}
        with self._translated(f"{PLACE}/{collected.id}"), self._folder(collected) as folder:
            for name in names_in(folder) if folder is not None else ():
                algorithm, _, text = name.partition("-")
                digest = layout.digest_of_folder(algorithm, text)
                if digest is not None and folder is not None:
                    found[digest] = os.stat(name, dir_fd=folder, follow_symlinks=False).st_size
        return found

    def is_present(self, digest: DigestText) -> bool:
        """Whether the blob has data in its place (again)."""
        with self._translated(layout.blob_folder(Digest(digest))), self._blob(digest, make=False) as blob:
            return blob is not None and _is_there("data", blob)

    @contextmanager
    def _folder(self, collected: Collected) -> Iterator[int | None]:
        """Open a collection's folder; None where it is gone."""
        with self._own(f"{PLACE}/{collected.id}") as folder:
            yield folder

    @contextmanager
    def _blob(self, digest: DigestText, *, make: bool) -> Iterator[int | None]:
        """Open a blob's folder, which `make` makes where it is missing; None where it is missing otherwise."""
        with self._own(layout.blob_folder(Digest(digest)), make=make) as folder:
            yield folder

    @contextmanager
    def _own(self, path: str, *, make: bool = False) -> Iterator[int | None]:
        """Enter a folder below the root, never through a symbolic link. Raises StorageError where that is refused.

        What is raised inside the block passes as it is.
        """
        folder: int | None = None
        with self._translated(path):
            if make:
                folder = make_own_folder(self._root, path)
            else:
                root = open_folder(self._root)
                try:
                    with contextlib.suppress(FileNotFoundError):
                        folder = open_own_folder(root, path)
                finally:
                    os.close(root)
        try:
            yield folder
        finally:
            if folder is not None:
                os.close(folder)

    @contextmanager
    def _translated(self, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(f"{self._root}/{path}: {error.strerror}") from error

    def _read_record(self, name: str) -> Collected:
        """Read a record. Where it is missing or damaged, nobody knows who may know the blobs beside it: no suspects."""
        path = f"{self._root}/{PLACE}/{name}/{RECORD}"
        try:
            body = read_file(path, _LARGEST_RECORD)
        except FileNotFoundError:
            return _unrecorded(name)
        except (OSError, TooLargeError) as error:
            raise StorageError(f"{path} cannot be read ({error}), so the quarantine is left alone") from error
        try:
            return msgspec.json.decode(body, type=Collected)
        except msgspec.DecodeError:
            return _unrecorded(name)


class Quarantine(QuarantineReader):
    """The quarantine of the storage that a lease is held on."""

    def __init__(self, lease: Lease) -> None:
        super().__init__(lease.root)

    def reserve(self) -> None:
        """Keep space for the next record, where there is some. On a full disk nothing happens."""
        path = f"{self._root}/{RESERVE}"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError:
            return
        before = os.fstat(descriptor).st_size
        try:
            if before < RESERVED_BYTES + LENT_BYTES:
                os.posix_fallocate(descriptor, 0, RESERVED_BYTES + LENT_BYTES)
        except OSError:
            # What was kept until now is worth the more.
            os.ftruncate(descriptor, before)
        finally:
            os.close(descriptor)

    def begin(
        self, suspects: tuple[Suspect, ...], *, run: str, begun: datetime, until: datetime, online: bool
    ) -> Collected:
        """Write down what is about to be collected; it is on the disk when this returns.

        Raises StorageError where it cannot be written, and then nothing may be touched.
        """
        name = f"{begun:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        collected = Collected(name, run, begun, until, online, suspects)
        folder = f"{self._root}/{PLACE}/{name}"
        body = msgspec.json.encode(collected, enc_hook=str)
        if len(body) > _LARGEST_RECORD:
            raise StorageError(f"{folder}: the record of {len(suspects)} blobs would be too large to be read again")
        try:
            os.close(make_own_folder(self._root, PLACE))
            os.mkdir(folder, mode=0o700)
            try:
                self._write_record(folder, body)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                # What was kept free for this moment.
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(f"{self._root}/{RESERVE}")
                self._write_record(folder, body)
            _flush(f"{self._root}/{PLACE}")
        except OSError as error:
            raise StorageError(
                f"{folder}: what is to be collected cannot be written down ({error.strerror}), so nothing is "
                f"collected; {way_out(error)}, or collect with --offline --now, which writes nothing down"
            ) from error
        return collected

    def move_in(self, collected: Collected, suspects: Iterable[Suspect]) -> Iterator[Moved]:
        """Move blobs that are still as described into quarantine, one at a time, and tell what became of each."""
        with self._folder(collected) as folder:
            if folder is None:
                raise StorageError(f"{self._root}/{PLACE}/{collected.id} is gone; somebody removed it by hand")
            crossed: set[str] = set()
            for suspect in suspects:
                yield self._move_in(folder, suspect, crossed)
            with self._translated(f"{PLACE}/{collected.id}"):
                os.fsync(folder)

    def bring_back(self, collected: Collected, digest: DigestText) -> Back:
        """Return a blob to its place, or drop the copy where it was uploaded anew. Raises StorageError."""
        name = _name(digest)
        path = layout.blob_folder(Digest(digest))
        with self._translated(path), self._folder(collected) as folder, self._blob(digest, make=True) as blob:
            if folder is None or blob is None or not _is_there(name, folder):
                return "missing"
            if _is_there("data", blob):
                os.unlink(name, dir_fd=folder)
                return "present"
            # An upload that is committed in this moment puts the same bytes under the same name: either may win.
            os.rename(name, "data", src_dir_fd=folder, dst_dir_fd=blob)
            os.fsync(blob)
            return "restored"

    def purge(self, collected: Collected, digest: DigestText) -> int:
        """Remove a blob for good; return the bytes that the disk got back, 0 where it was gone."""
        with self._translated(f"{PLACE}/{collected.id}"), self._folder(collected) as folder:
            if folder is None:
                return 0
            try:
                data = os.stat(_name(digest), dir_fd=folder, follow_symlinks=False)
                os.unlink(_name(digest), dir_fd=folder)
            except FileNotFoundError:
                return 0
            return data.st_size if data.st_nlink == 1 else 0

    def finish(self, collected: Collected) -> None:
        """Forget a collection that holds nothing any more. One that does stays."""
        path = f"{self._root}/{PLACE}/{collected.id}"
        if self.held(collected):
            return
        try:
            for name in (RECORD, f"{RECORD}.part"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(f"{path}/{name}")
            os.rmdir(path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise StorageError(f"{path} cannot be removed: {error.strerror}") from error

    def _move_in(self, folder: int, suspect: Suspect, crossed: set[str]) -> Moved:
        """Move one blob. `crossed` gathers what has been told of other file systems: once each, not once a blob."""
        try:
            with self._blob(suspect.digest, make=False) as blob:
                if blob is None:
                    return Moved(suspect.digest, 0, _problem("gone", suspect.digest, "it is gone already"))
                data = os.stat("data", dir_fd=blob, follow_symlinks=False)
                if not stat.S_ISREG(data.st_mode):
                    return Moved(suspect.digest, 0, _problem("symbolic-link", suspect.digest, "its data is no file"))
                if data.st_size != suspect.size or datetime.fromtimestamp(data.st_mtime, UTC) != suspect.modified:
                    return Moved(suspect.digest, 0, _problem("changed", suspect.digest, "it was written anew"))
                os.rename("data", _name(suspect.digest), src_dir_fd=blob, dst_dir_fd=folder)
        except FileNotFoundError:
            return Moved(suspect.digest, 0, _problem("gone", suspect.digest, "it is gone already"))
        except OSError as error:
            if error.errno == errno.EXDEV:
                return self._elsewhere(folder, suspect, data, crossed)
            return Moved(suspect.digest, 0, _problem("refused", suspect.digest, error.strerror or str(error)))
        except StorageError as error:
            return Moved(suspect.digest, 0, _problem("refused", suspect.digest, str(error)))
        return Moved(suspect.digest, data.st_size)

    def _elsewhere(self, folder: int, suspect: Suspect, data: os.stat_result, crossed: set[str]) -> Moved:
        """Tell of a blob that no rename brings into the quarantine, naming the part of the storage where that is so."""
        prefix = layout.blob_folder(Digest(suspect.digest)).rpartition("/")[0]
        # A bind mount shows the same file system at another place, so the number of the device tells nothing there.
        part = prefix if data.st_dev == os.fstat(folder).st_dev else f"device {data.st_dev}"
        text = (
            f"{self._root}/{prefix}: it is on another file system than {self._root}/{PLACE}, or mounted by itself, and "
            "nothing can be moved from one to the other, so blobs there stay; `gc --offline --now` removes them"
        )
        told = part in crossed
        crossed.add(part)
        return Moved(suspect.digest, 0, Problem("refused", text, blocks=not told))

    def _write_record(self, folder: str, body: bytes) -> None:
        """Write the record under another name first: a half-written one is never taken for whole."""
        part = f"{folder}/{RECORD}.part"
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        os.rename(part, f"{folder}/{RECORD}")
        _flush(folder)


def lend_space(root: str) -> None:
    """Give a little of what is kept free to whoever writes next, where the disk of the storage at `root` is full."""
    try:
        descriptor = os.open(f"{root}/{RESERVE}", os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.ftruncate(descriptor, max(0, min(RESERVED_BYTES, os.fstat(descriptor).st_size - LENT_BYTES)))
    except OSError:
        return
    finally:
        os.close(descriptor)


def _unrecorded(name: str) -> Collected:
    try:
        begun = datetime.strptime(name[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        begun = datetime.fromtimestamp(0, UTC)
    return Collected(name, "", begun, begun, online=True, suspects=())


def _name(digest: DigestText) -> str:
    return digest.replace(":", "-", 1)


def _is_there(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _flush(folder: str) -> None:
    descriptor = open_folder(folder)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _problem(code: str, digest: DigestText, why: str) -> Problem:
    return Problem(code, f"blob {digest} stays: {why}", blocks=code == "refused")
