"""Names of images, names of registries, and which images a registry holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jettison.oci.digest import Digest
from jettison.policy.in_use import ImageName, InUse, RegistryNames, UsedImage

DIGEST = Digest.of(b"an image")


@pytest.mark.parametrize(
    ("text", "written_out"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.27", "docker.io/library/nginx:1.27"),
        ("grafana/grafana", "docker.io/grafana/grafana:latest"),
        ("index.docker.io/nginx", "docker.io/library/nginx:latest"),
        ("registry-1.docker.io/library/nginx:1", "docker.io/library/nginx:1"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app:1", "localhost:5000/app:1"),
        ("Registry.Example/team/app:1", "registry.example/team/app:1"),
        ("TEAM/app:1", "team/app:1"),
        ("registry:5000/team/app", "registry:5000/team/app:latest"),
        ("[::1]:5000/app:1", "[::1]:5000/app:1"),
        (f"registry.example/app@{DIGEST}", f"registry.example/app@{DIGEST}"),
        (f"registry.example:5000/app:1@{DIGEST}", f"registry.example:5000/app:1@{DIGEST}"),
    ],
)
def test_a_name_is_written_out_as_runtimes_mean_it(text: str, written_out: str) -> None:
    assert str(ImageName.parse(text)) == written_out


@pytest.mark.parametrize(
    "text",
    [
        "", ":", "@", "nginx:", "nginx:a b", "Nginx", "registry.example/App", "nginx@sha256:12", "registry.example/",
        "-x.example/app", "a//b", "nginx:" + "x" * 129, f"{DIGEST}", "registry.example/app:${TAG}", "x" * 300,
    ],
)  # fmt: skip
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no (image name|digest)"):
        ImageName.parse(text)


@pytest.mark.parametrize(
    ("names", "image", "repositories"),
    [
        (["registry.example"], "registry.example/team/app:1", ["team/app"]),
        (["registry.example"], "registry.example:443/app:1", ["app"]),
        (["registry.example:443"], "registry.example/app:1", ["app"]),
        (["http://registry.example:80"], "registry.example/app:1", ["app"]),
        (["registry.example:5000"], "registry.example/app:1", []),
        (["registry.example"], "other.example/app:1", []),
        (["https://Registry.Example/"], "registry.example/app:1", ["app"]),
        (["127.0.0.1:5000"], "localhost:5000/app", ["app"]),
        (["localhost:5000"], "[::1]:5000/app", ["app"]),
        (["127.0.0.1:5000"], "localhost:5001/app", []),
        (["127.0.0.1:5000", "registry.registry.svc:5000"], "registry.registry.svc:5000/app", ["app"]),
        (["proxy.example/mirror"], "proxy.example/mirror/team/app:1", ["team/app"]),
        (["proxy.example/mirror"], "proxy.example/mirrors/team/app:1", []),
        (["proxy.example", "proxy.example/mirror"], "proxy.example/mirror/app:1", ["mirror/app", "app"]),
        (["https://registry-1.docker.io"], "nginx:1", ["library/nginx"]),
        (["docker.io/library"], "nginx:1", ["nginx"]),
    ],
)
def test_a_registry_has_several_names(names: list[str], image: str, repositories: list[str]) -> None:
    assert RegistryNames.of(names).repositories(ImageName.parse(image)) == repositories


@pytest.mark.parametrize("text", ["", "a b", "https://", "registry.example:port", "registry.example/UPPER", "*"])
def test_what_is_no_name_of_a_registry_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no name of a registry"):
        RegistryNames.of([text])


def used(text: str, where: str) -> UsedImage:
    return UsedImage(ImageName.parse(text), where)


def test_tags_and_digests_are_found_with_where_they_run() -> None:
    images = [
        used("registry.example/app:1", "container web"),
        used("registry.example/app:1", "container worker"),
        used("registry.example/app:1", "container web"),
        used(f"registry.example/app:2@{DIGEST}", "pod shop/web-0"),
        used("nginx", "container front"),
    ]
    in_use = InUse.of(images, RegistryNames.of(["registry.example"]))
    assert in_use.in_repository("app") == {
        "1": "container web and 1 more",
        "2": "pod shop/web-0",
        DIGEST: "pod shop/web-0",
    }
    assert in_use.in_repository("library/nginx") == {}
    assert in_use.elsewhere == {"docker.io": frozenset({"library/nginx"})}
    assert in_use.count == 3


def test_without_names_every_image_counts_since_it_may_be_ours() -> None:
    in_use = InUse.of([used("registry.example/app:1", "here"), used("nginx", "there")], None)
    assert in_use.in_repository("app") == {"1": "here"}
    assert in_use.in_repository("library/nginx") == {"latest": "there"}


_hosts = st.sampled_from(["registry.example", "localhost:5000", "10.0.0.1:5000", "[::1]:80"])
_repositories = st.from_regex(r"\A[a-z0-9]{1,8}(?:[._-][a-z0-9]{1,5})?(?:/[a-z0-9]{1,8}){0,3}\Z")
_tags = st.from_regex(r"\A[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z")


@given(_hosts, _repositories, _tags)
def test_a_name_written_out_reads_back(host: str, repository: str, tag: str) -> None:
    name = ImageName.parse(f"{host}/{repository}:{tag}")
    assert (name.registry, name.repository, name.tag) == (host, repository, tag)
    assert ImageName.parse(str(name)) == name


@given(st.text(max_size=60))
def test_any_text_is_a_name_or_a_value_error(text: str) -> None:
    try:
        name = ImageName.parse(text)
    except ValueError:
        return
    assert ImageName.parse(str(name)) == name
