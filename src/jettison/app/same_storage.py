"""Whether a registry's API and a storage belong together, shown by the registry itself.

Two registries may hold the same images (a copy of production, a mirror), so comparing contents shows nothing. An upload
that is begun over the API, however, makes a folder in the storage that the server writes to, and nowhere else.
"""

import os
from collections.abc import Sequence
from typing import Final

from jettison.errors import ServerFaultError, StorageError, UnauthorizedError, UnsupportedError, UsageError
from jettison.oci.reference import is_repository
from jettison.registry.client import RegistryClient
from jettison.storage import layout
from jettison.storage.files import names_in
from jettison.storage.local import LocalStorage
from jettison.storage.quarantine import lend_space

_SOME_BYTES: Final = 64 << 10
_SOME_FILES: Final = 16


async def show_same_storage(storage: LocalStorage, replicas: Sequence[RegistryClient]) -> None:
    """Begin an upload on every replica, look for it in the storage, and cancel it.

    Raises UsageError where a replica writes elsewhere, or may not be asked, so that nobody knows; StorageError where it
    cannot begin an upload since the disk is full.
    """
    # Under any other name nobody could be asked.
    names = [name for name in storage.repositories().names if is_repository(name)]
    if not names:
        return
    repository = names[0]
    for client in replicas:
        try:
            identifier, location = await _begun(storage, client, repository)
        except UnauthorizedError as error:
            raise UsageError(
                f"{error}. Whether {client.url} works on {storage.name} is shown by beginning an upload, so the "
                "credentials must be allowed to push; or collect with --offline"
            ) from error
        except UnsupportedError as error:
            raise UsageError(
                f"{client.url} is read-only, so collecting need not mind pushes: use --offline ({error})"
            ) from error
        try:
            found = identifier in names_in(f"{storage.name}/{layout.uploads_folder(repository)}")
        except FileNotFoundError:
            found = False
        finally:
            await client.cancel_upload(repository, location)
        if not found:
            raise UsageError(
                f"{client.url} does not work on the storage {storage.name}: an upload begun there left no trace here. "
                "Name the storage of that registry, or the registry of that storage"
            )


async def _begun(storage: LocalStorage, client: RegistryClient, repository: str) -> tuple[str, str]:
    """Begin an upload, for which a full disk has no space but what was kept free."""
    if _is_full(storage.name):
        lend_space(storage.name)
    try:
        return await client.start_upload(repository)
    except ServerFaultError as error:
        if not _is_full(storage.name):
            raise
        raise StorageError(
            f"the disk of the storage {storage.name} is full, so {client.url} cannot begin an upload, which shows that "
            "it works there: make a little space (or room for some more files), or stop the registry and collect with "
            "--offline --now, which needs none"
        ) from error


def _is_full(folder: str) -> bool:
    state = os.statvfs(folder)
    # Some file systems have no fixed number of files, and say 0 of 0.
    no_files = state.f_files > 0 and state.f_favail < _SOME_FILES
    return no_files or state.f_bavail * state.f_frsize < _SOME_BYTES
