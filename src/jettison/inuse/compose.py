"""Images that Compose files name (compose-spec, "image", "Interpolation", "include", "extends").

Every service counts, whatever its profile; so do volumes of type image, and models, which registries hold too. Files
that a file includes or extends are read as well, and so is the override file beside one; each file counts by itself, so
an image that an override replaces is kept. A service without `image` is built on its machine and in no registry.

What a variable is worth is found as Compose finds it: in the environment of whoever asks, else in the `.env` beside the
file; in a file that another one includes or extends, the other's variables come first. One that is set nowhere and has
no default is an error here, where Compose would take nothing for it.
"""

import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jettison.errors import InUseError
from jettison.inuse.interpolation import UnsetVariableError, interpolate, read_variables
from jettison.policy.in_use import ImageName, UsedImage

DEFAULT_FILES: Final = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
"""In the order in which Compose looks for them."""
_OVERRIDES: Final = tuple(
    f"{stem}.override{ending}" for stem in ("compose", "docker-compose") for ending in (".yml", ".yaml")
)
"""Any of them goes with any of the former."""
LARGEST_FILE: Final = 16 << 20
_DEEPEST: Final = 32


@dataclass(frozen=True, slots=True)
class ComposeSource:
    """Compose files: each of `files` is a file, a folder with one, or a glob (`**` across folders)."""

    files: Sequence[str]
    environment: Mapping[str, str] | None = None

    def ask(self) -> list[UsedImage]:
        """Return the images of all services. Raises InUseError where a file is missing or cannot be understood."""
        environment = os.environ if self.environment is None else self.environment
        reader = _Reader(environment)
        for text in self.files:
            for file in _files(text):
                reader.read_project(file)
        return reader.images


def _files(text: str) -> Iterator[Path]:
    """Return the files that a pattern means. Raises InUseError where there are none."""
    pattern = str(Path(text).expanduser())
    found = [Path(pattern)] if Path(pattern).exists() else [Path(each) for each in glob.glob(pattern, recursive=True)]  # noqa: PTH207  an absolute pattern
    if not found:
        raise InUseError(f"{text}: there is no such compose file")
    for path in sorted(found):
        yield _file_in(path) if path.is_dir() else path


def _file_in(folder: Path) -> Path:
    """Return the compose file of a project's folder."""
    for name in DEFAULT_FILES:
        if (folder / name).exists():
            return folder / name
    raise InUseError(f"{folder}: there is no compose file in it ({', '.join(DEFAULT_FILES)})")


class _Reader:
    """Reads files, each once with the same variables."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._seen: set[tuple[Path, frozenset[tuple[str, str]]]] = set()
        self.images: list[UsedImage] = []

    def read_project(self, file: Path) -> None:
        """Read the file of a project, with the variables of the `.env` beside it."""
        self._read(file, _variables([file.with_name(".env")], self._environment, needed=False), 0)

    def _read(self, file: Path, variables: Mapping[str, str], depth: int) -> None:
        """Read a file, its override, and what it leads to."""
        if depth > _DEEPEST:
            raise InUseError(f"{file}: more than {_DEEPEST} compose files include each other")
        known = (file.resolve(), frozenset(variables.items()))
        if known in self._seen:
            return
        self._seen.add(known)
        document = _load(file)
        services = document.get("services") or {}
        if not isinstance(services, Mapping):
            raise InUseError(f"{file}: `services` is no mapping")
        for name, service in services.items():
            if not isinstance(service, Mapping):
                raise InUseError(f"{file}: service {name} is no mapping")
            self._service(file, str(name), service, variables)
        for name, model in _mappings(document.get("models")):
            self._add(file, f"model {name}", model.get("model"), variables)
        for path, its_variables in self._led_to(file, document, services, variables):
            self._read(path, its_variables, depth + 1)
        for override in (file.with_name(name) for name in _OVERRIDES):
            if file.name in DEFAULT_FILES and override.exists():
                self._read(override, variables, depth + 1)

    def _service(self, file: Path, name: str, service: Mapping[Any, Any], variables: Mapping[str, str]) -> None:
        self._add(file, f"service {name}", service.get("image"), variables)
        for volume in _list(service.get("volumes")):
            if isinstance(volume, Mapping) and volume.get("type") == "image":
                self._add(file, f"service {name}", volume.get("source"), variables)

    def _add(self, file: Path, who: str, image: object, variables: Mapping[str, str]) -> None:
        if image is None:
            return
        try:
            text = interpolate(str(image), variables)
            self.images.append(UsedImage(ImageName.parse(text), f"{who} of {file}"))
        except UnsetVariableError as error:
            raise InUseError(f"{file}: the image of {who}, {str(image)!r}: {error}") from error
        except ValueError as error:
            raise InUseError(f"{file}: {who}: {error}") from error

    def _led_to(
        self, file: Path, document: Mapping[Any, Any], services: Mapping[Any, Any], variables: Mapping[str, str]
    ) -> Iterator[tuple[Path, Mapping[str, str]]]:
        """Return the local files that a file includes or extends, each with the variables that are in force there.

        Those of the file itself win over those that the other one's `.env`, or what `include` names, would set.
        """
        for service in services.values():
            extended = service.get("extends")
            if isinstance(extended, Mapping) and extended.get("file"):
                path = self._path(file, extended["file"], variables)
                yield path, _variables([path.with_name(".env")], variables, needed=False)
        for entry in _list(document.get("include")):
            included = entry if isinstance(entry, Mapping) else {"path": entry}
            paths = [self._path(file, path, variables) for path in _list(included.get("path"))]
            named = [self._path(file, each, variables) for each in _list(included.get("env_file"))]
            if not named and included.get("project_directory"):
                named = [file.parent / self._filled(file, included["project_directory"], variables) / ".env"]
            for path in paths:
                files = named or [path.with_name(".env")]
                yield path, _variables(files, variables, needed=bool(included.get("env_file")))

    def _filled(self, file: Path, text: object, variables: Mapping[str, str]) -> str:
        try:
            return interpolate(str(text), variables)
        except ValueError as error:
            raise InUseError(f"{file}: {text}: {error}") from error

    def _path(self, file: Path, text: object, variables: Mapping[str, str]) -> Path:
        """Return the path of a file named in another one. Raises InUseError for one that is not on this machine."""
        path = self._filled(file, text, variables)
        if "://" in path or path.startswith("git@"):
            raise InUseError(f"{file}: {path} is on another machine; name a local copy, or list its images in a file")
        found = file.parent / path
        return _file_in(found) if found.is_dir() else found


def _variables(files: Sequence[Path], over: Mapping[str, str], *, needed: bool) -> Mapping[str, str]:
    """Return the variables of files, and those `over` them, which win; a file that is not `needed` may be missing."""
    variables: dict[str, str] = {}
    for each in files:
        if needed or each.exists():
            try:
                variables |= read_variables(_text(each), {**variables, **over}, str(each))
            except ValueError as error:
                raise InUseError(str(error)) from error
    return {**variables, **over}


def _mappings(value: object) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """Return the named mappings in a mapping."""
    for name, each in value.items() if isinstance(value, Mapping) else ():
        if isinstance(each, Mapping):
            yield str(name), each


def _list(value: object) -> Sequence[object]:
    if value is None:
        return ()
    return value if isinstance(value, list) else (value,)


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise InUseError(f"{file} is too large to be a compose file")
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InUseError(f"{file} cannot be read: {reason}") from error


def _load(file: Path) -> Mapping[Any, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    yaml = YAML(typ="rt")  # it takes Compose's own tags (!reset, !override) as they are
    yaml.allow_duplicate_keys = True
    try:
        document = yaml.load(_text(file))
    except (YAMLError, ValueError, RecursionError) as error:
        raise InUseError(f"{file} is no YAML: {' '.join(str(error).split())[:500]}") from error
    if document is None:
        return {}
    if not isinstance(document, Mapping):
        raise InUseError(f"{file} is no compose file: it holds no mapping")
    return document
