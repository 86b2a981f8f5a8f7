"""Importers: retention policies of other systems to ours, one module per system, imported when it is used."""

import importlib
from typing import TYPE_CHECKING, Final

from jettison.errors import PolicyImportError

if TYPE_CHECKING:
    from collections.abc import Callable

    from jettison.policy.importers.model import Imported, Options

SYSTEMS: Final = {
    "acr": "acr",
    "artifact-registry": "artifact_registry",
    "ecr": "ecr",
    "gitlab": "gitlab",
    "harbor": "harbor",
    "quay": "quay",
    "zot": "zot",
}
"""The module of each system. It has `convert(text, options) -> Imported` and `OPTIONS`, the options that it reads."""


def convert(system: str, text: str, options: "Options") -> "Imported":
    """Return our policy for `text`, a policy as `system` stores it.

    Raises PolicyImportError with the reason for what that system refuses itself, for what is no policy of it at all,
    and for an option that has no meaning there.
    """
    module = importlib.import_module(f"jettison.policy.importers.{SYSTEMS[system]}")
    for name in options.given():
        if name not in module.OPTIONS:
            raise PolicyImportError(f"{_FLAGS[name]} means nothing for {system}; it takes {_named(module.OPTIONS)}")
    run: Callable[[str, Options], Imported] = module.convert
    return run(text, options)


_FLAGS: Final = {
    "project": "--project",
    "repository": "--repository",
    "prefix": "--prefix",
    "immutable_tags": "--immutable-tags",
    "registry": "--source-registry",
    "version": "--source-version",
}
"""How the command line names each option."""


def _named(options: tuple[str, ...]) -> str:
    return ", ".join(_FLAGS[option] for option in options) or "no option"
