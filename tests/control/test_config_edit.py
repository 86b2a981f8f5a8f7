"""Edits of config.yml: the smallest change, and never any other."""

import difflib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from jettison.control import yaml_text
from jettison.control.config_edit import difference, with_delete_enabled, with_descriptor_cache_off, with_readonly
from jettison.control.config_file import parse_config
from jettison.errors import ConfigurationError

IMAGE = """\
version: 0.1
log:
  fields:
    service: registry
storage:
  # the fast cache
  cache:
    blobdescriptor: inmemory
  filesystem:   # where the images are
    rootdirectory: /var/lib/registry
http:
  addr: :5000
"""


def test_a_missing_section_is_added_below_its_parent() -> None:
    assert with_delete_enabled(IMAGE) == IMAGE.replace("storage:\n", "storage:\n  delete:\n    enabled: true\n")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            "storage:\n    s3: {}\n    delete:\n      enabled: false # no\n",
            "storage:\n    s3: {}\n    delete:\n      enabled: true # no\n",
        ),
        ("storage: {s3: {bucket: b}}\n", "storage: {delete: {enabled: true}, s3: {bucket: b}}\n"),
        ("storage: {delete: {}, s3: {}}\n", "storage: {delete: {enabled: true}, s3: {}}\n"),
        ("storage: {delete: {enabled: no}, s3: {}}\n", "storage: {delete: {enabled: true}, s3: {}}\n"),
        ("storage:\n  s3:\n  delete: null\n", "storage:\n  s3:\n  delete: {enabled: true}\n"),
        ("storage:\n  s3:\n  delete: ~ # off\n", "storage:\n  s3:\n  delete: {enabled: true} # off\n"),
        ("storage:\n  delete:\n  s3: {}\n", "storage:\n  delete:\n    enabled: true\n  s3: {}\n"),
        ("storage:\n  s3: {}\n  delete:", "storage:\n  s3: {}\n  delete:\n    enabled: true\n"),
        ("storage:\n  delete: # later\n  s3: {}\n", "storage:\n  delete: # later\n    enabled: true\n  s3: {}\n"),
        ('storage:\n  s3: {}\n  delete:\n    enabled: "true"\n', "storage:\n  s3: {}\n  delete:\n    enabled: true\n"),
        ("storage:\n  s3: {}\n  delete:\n    enabled:\n", "storage:\n  s3: {}\n  delete:\n    enabled: true\n"),
        (
            "storage:\n  s3: {}\n  delete:\n    enabled: \n    x: y\n",
            "storage:\n  s3: {}\n  delete:\n    enabled: true \n    x: y\n",
        ),
        ("storage: inmemory\n", "storage: {inmemory: {}, delete: {enabled: true}}\n"),
        ("version: 0.1", "version: 0.1\nstorage:\n  delete:\n    enabled: true\n"),
        ("", "storage:\n  delete:\n    enabled: true\n"),
        (
            "storage:\r\n  s3: {}\r\nhttp: {}\r\n",
            "storage:\r\n  delete:\r\n    enabled: true\r\n  s3: {}\r\nhttp: {}\r\n",
        ),
        ("storage:\n  s3: {}\t# tab\n", "storage:\n  delete:\n    enabled: true\n  s3: {}\t# tab\n"),
        ("storage:\n  {s3: {},\n   cache: {}}\n", "storage:\n  {delete: {enabled: true}, s3: {},\n   cache: {}}\n"),
        (
            "storage:\n  delete: {enabled: true}\n  delete: {enabled: false}\n",
            "storage:\n  delete: {enabled: true}\n  delete: {enabled: true}\n",
        ),
    ],
)
def test_the_smallest_change(old: str, new: str) -> None:
    assert with_delete_enabled(old) == new


@pytest.mark.parametrize("value", ["true", "yes", "on", "True"])
def test_what_is_on_already_stays_as_it_is(value: str) -> None:
    text = f"storage:\n  s3: {{}}\n  delete:\n    enabled: {value}   # on\n"
    assert with_delete_enabled(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "x: &off {enabled: false}\nstorage:\n  s3: {}\n  delete: *off\n",
        "x: &off false\nstorage:\n  s3: {}\n  delete: {enabled: *off}\n",
        "storage: [a]\n",
    ],
)
def test_what_cannot_be_changed_safely_is_refused_with_the_line_to_write(text: str) -> None:
    with pytest.raises(ConfigurationError, match="storage: delete: enabled: true"):
        with_delete_enabled(text, name="/etc/x.yml")


def test_a_section_that_other_sections_merge_is_overridden_not_changed() -> None:
    text = "x: &base {delete: {enabled: false}, s3: {}}\nstorage:\n  <<: *base\n"
    new = with_delete_enabled(text)
    assert parse_config(new).delete_enabled
    assert new.startswith(text[: text.index("storage")])


def test_readonly_and_cache() -> None:
    on = with_readonly(IMAGE)
    assert parse_config(on).readonly
    assert parse_config(with_readonly(on, enabled=False)) == parse_config(with_readonly(IMAGE, enabled=False))
    off = with_descriptor_cache_off(IMAGE)
    assert parse_config(off).cache is None
    assert parse_config(off).problems == ()
    assert off == IMAGE.replace("inmemory", '""')
    assert with_descriptor_cache_off(off) == off


def test_the_difference_shows_the_change_and_no_secret() -> None:
    text = """\
storage:
  s3:
    accesskey: AKHIDDENWORD
    secretkey: "hidden word"
    # secretkey: hidden word
"""
    shown = difference(text, with_delete_enabled(text), name="/etc/x.yml")
    assert "+    enabled: true" in shown
    assert "--- /etc/x.yml" in shown
    assert "hidden word" not in shown
    assert "AKHIDDENWORD" not in shown
    assert "accesskey: ***" in shown
    assert difference(text, text) == ""


keys = st.sampled_from(["s3", "cache", "delete", "enabled", "storage", "a", "b c", "yes", "0"])
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.sampled_from(["x", "", "true", "# no", "a: b", "two\nlines", ":5000"])
)
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)
storages = st.fixed_dictionaries(
    {},
    optional={
        "s3": st.none() | st.dictionaries(keys, documents, max_size=3),
        "delete": st.none() | st.dictionaries(st.sampled_from(["enabled", "x"]), documents, max_size=2),
        "cache": st.dictionaries(keys, scalars, max_size=2),
    },
)


@settings(deadline=None)
@given(
    before=st.dictionaries(keys.filter(lambda key: key != "storage"), documents, max_size=3),
    storage=st.none() | storages,
    flow=st.sampled_from([None, True, False]),
    indent=st.integers(2, 5),
    crlf=st.booleans(),
    comments=st.booleans(),
)
def test_any_document_changes_in_that_one_value_or_is_refused(
    before: dict[str, object],
    storage: dict[str, object] | None,
    flow: bool | None,
    indent: int,
    crlf: bool,
    comments: bool,
) -> None:
    document = {**before, "storage": storage, "last": 1}
    text = _dump(document, flow=flow, indent=indent)
    if comments and flow is False:
        text = "\n".join(f"{line}  # note" if line.endswith(":") else line for line in text.split("\n"))
    if crlf:
        text = text.replace("\n", "\r\n")
    before_edit = yaml_text.load(text, "x")
    try:
        new = with_delete_enabled(text)
    except ConfigurationError:
        # Only what is no mapping where a mapping should be may be refused.
        section = (storage or {}).get("delete")
        assert section is not None
        assert isinstance(section.get("enabled") if isinstance(section, dict) else 0, dict | list | str)
        return
    wanted = dict(before_edit) if isinstance(before_edit, dict) else {}
    old_storage = wanted["storage"] or {}
    wanted["storage"] = {**old_storage, "delete": {**(old_storage.get("delete") or {}), "enabled": True}}
    assert yaml_text.load(new, "x") == wanted
    changes = [line for line in difflib.ndiff(text.splitlines(), new.splitlines()) if line[:2] in {"- ", "+ "}]
    assert len(changes) <= 3
    assert ("\r\n" in new) == ("\r\n" in text)
    assert with_delete_enabled(new) == new


def _dump(document: object, *, flow: bool | None, indent: int) -> str:
    from io import StringIO

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = flow
    yaml.indent = indent
    yaml.version = (1, 1)
    yaml.width = 10_000  # it breaks lines inside of keys, which no parser takes
    text = StringIO()
    yaml.dump(document, text)
    return text.getvalue().removeprefix("%YAML 1.1\n").removeprefix("---\n")


@settings(deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
@example("storage: {inmemory: {}}\n...\n")
@example("\ufeffstorage: {inmemory: {}}\n")
def test_any_text_is_read_or_refused_by_name(text: str) -> None:
    refused = ""
    new = text
    try:
        new = with_delete_enabled(text, name="/etc/x.yml")
    except ConfigurationError as error:
        refused = str(error)
    assert ("/etc/x.yml" in refused) or yaml_text.load(new, "x") == {
        **(yaml_text.load(text, "x") or {}),  # type: ignore[dict-item]  # a mapping, or it had been refused
        "storage": {"delete": {"enabled": True}, **({"inmemory": {}} if "inmemory" in text else {})},
    }
