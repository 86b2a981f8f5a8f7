"""Compose files: every service's image, with variables, included and extended files, and what cannot be read."""

from pathlib import Path

import pytest

from jettison.errors import InUseError
from jettison.inuse.compose import ComposeSource

REGISTRY = "registry.example"


def laid_out(folder: Path, **files: str) -> Path:
    """Write files; `_` in a name is a dot, `__` a slash."""
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def images(*files: object, **environment: str) -> set[str]:
    return {str(image.name) for image in ComposeSource([str(file) for file in files], environment).ask()}


def test_every_service_counts_whatever_its_profile(tmp_path: Path) -> None:
    laid_out(
        tmp_path,
        compose_yaml="""
x-base: &base
  image: registry.example/base:1
services:
  web: {image: "registry.example/web:${TAG:-2}", build: .}
  debug: {image: registry.example/debug, profiles: [debug]}
  same:
    <<: *base
    command: run
  built: {build: .}
""",
    )
    source = ComposeSource([str(tmp_path / "compose.yaml")], {})
    assert {(str(image.name), image.where) for image in source.ask()} == {
        (f"{REGISTRY}/web:2", f"service web of {tmp_path}/compose.yaml"),
        (f"{REGISTRY}/debug:latest", f"service debug of {tmp_path}/compose.yaml"),
        (f"{REGISTRY}/base:1", f"service same of {tmp_path}/compose.yaml"),
    }


def test_image_volumes_and_models_count_too(tmp_path: Path) -> None:
    laid_out(
        tmp_path,
        compose_yaml="""
models: {llm: {model: "registry.example/ai/llm:${SIZE:-7b}"}}
services:
  web:
    image: registry.example/web:1
    volumes: ["data:/data", {type: image, source: registry.example/assets:3, target: /assets}, {type: bind, source: .}]
""",
    )
    assert images(tmp_path) == {f"{REGISTRY}/{name}" for name in ("ai/llm:7b", "web:1", "assets:3")}


def test_variables_come_from_the_environment_over_dot_env(tmp_path: Path) -> None:
    laid_out(tmp_path, compose_yaml="services: {web: {image: 'registry.example/web:${TAG}'}}", _env="TAG=1\n")
    assert images(tmp_path) == {f"{REGISTRY}/web:1"}
    assert images(tmp_path, TAG="2") == {f"{REGISTRY}/web:2"}


def test_the_override_file_counts_too(tmp_path: Path) -> None:
    laid_out(
        tmp_path,
        compose_yaml="services: {web: {image: registry.example/web:1, ports: ['80:80']}}",
        compose_override_yml="services: {web: {image: registry.example/web:2, ports: !reset []}}",
    )
    assert images(tmp_path) == {f"{REGISTRY}/web:1", f"{REGISTRY}/web:2"}


def test_included_and_extended_files_are_read(tmp_path: Path) -> None:
    laid_out(
        tmp_path,
        compose_yaml="""
include:
  - database/compose.yaml
  - path: [cache.yaml]
    env_file: cache.env
services:
  web: {extends: {file: common.yaml, service: base}}
""",
        database__compose_yaml="include: [../compose.yaml]\nservices: {db: {image: 'registry.example/db:${DB}'}}",
        database___env="DB=5",
        cache_yaml="services: {cache: {image: 'registry.example/cache:${VERSION}'}}",
        cache_env="VERSION=7",
        common_yaml="services: {base: {image: registry.example/base:3}}",
    )
    assert images(tmp_path) == {f"{REGISTRY}/db:5", f"{REGISTRY}/cache:7", f"{REGISTRY}/base:3"}


def test_globs_and_folders_find_files(tmp_path: Path) -> None:
    laid_out(
        tmp_path,
        a__compose_yaml="services: {a: {image: registry.example/a:1}}",
        c__deep__compose_yml="services: {c: {image: registry.example/c:1}}",
    )
    assert images(tmp_path / "*/compose.yaml", tmp_path / "**/compose.yml") == {f"{REGISTRY}/a:1", f"{REGISTRY}/c:1"}
    assert images(tmp_path / "a", tmp_path / "c/deep") == {f"{REGISTRY}/a:1", f"{REGISTRY}/c:1"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("services: {web: {image: 'app:${TAG}'}}", "service web, .*TAG is set neither"),
        ("services: {web: {image: 'App:1'}}", "service web: .*is no image name"),
        ("services: {web: {image: ''}}", "service web: .*is no image name"),
        ("services: [", "is no YAML"),
        ("- a list", "holds no mapping"),
        ("services: [a]", "`services` is no mapping"),
        ("services: {web: app}", "service web is no mapping"),
        ("include: 5", "5 cannot be read"),
        ("include: [nowhere.yaml]", "nowhere.yaml cannot be read"),
        ("include: ['https://git.example/a.git']", "on another machine"),
        ("services: {web: {extends: {file: nowhere.yaml, service: a}}}", "nowhere.yaml cannot be read"),
    ],
)
def test_what_cannot_be_understood_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    laid_out(tmp_path, compose_yaml=text)
    with pytest.raises(InUseError, match=message):
        images(tmp_path)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    for text, message in (("nowhere.yaml", "no such"), ("*.yaml", "no such"), ("", "no compose file in it")):
        with pytest.raises(InUseError, match=message):
            images(tmp_path / text)
    (tmp_path / "compose.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InUseError, match="not UTF-8"):
        images(tmp_path)


def test_a_file_of_variables_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    laid_out(tmp_path, compose_yaml="services: {a: {image: 'a:$TAG'}}", _env="TAG='1")
    with pytest.raises(InUseError, match=r"\.env, line 1: a quote is never closed"):
        images(tmp_path)


def test_files_that_include_each_other_end(tmp_path: Path) -> None:
    laid_out(tmp_path, compose_yaml="include: [b.yaml]\nservices: {a: {image: a:1}}", b_yaml="include: [compose.yaml]")
    assert images(tmp_path) == {"docker.io/library/a:1"}


def test_the_variables_of_a_project_win_in_what_it_includes(tmp_path: Path) -> None:
    shop = "services: {shop: {image: 'registry.example/shop:${TAG}', extends: {file: base/common.yaml, service: b}}}"
    laid_out(
        tmp_path,
        one__compose_yaml=f"include: [../shared/compose.yaml]\n{shop}",
        one___env="TAG=1\n",
        one__base__common_yaml="services: {b: {image: 'registry.example/b:${TAG}'}}",
        one__base___env="TAG=wrong\n",
        two__compose_yaml="include: [{path: ../shared/compose.yaml, project_directory: ../other}]",
        two___env="TAG=2\n",
        shared__compose_yaml="services: {cache: {image: 'registry.example/cache:${TAG}-${KIND}'}}",
        shared___env="TAG=wrong\nKIND=small-${TAG}\n",
        other___env="KIND=big\n",
    )
    assert images(tmp_path / "one", tmp_path / "two") == {
        f"{REGISTRY}/shop:1",
        f"{REGISTRY}/b:1",
        f"{REGISTRY}/cache:1-small-1",
        f"{REGISTRY}/cache:2-big",
    }


def test_an_override_of_either_name_counts(tmp_path: Path) -> None:
    laid_out(
        tmp_path,
        compose_yaml="services: {web: {image: registry.example/web:1}}",
        docker_compose_override_yml="services: {web: {image: registry.example/web:2}}",
    )
    (tmp_path / "docker.compose.override.yml").rename(tmp_path / "docker-compose.override.yml")
    assert images(tmp_path) == {f"{REGISTRY}/web:1", f"{REGISTRY}/web:2"}
