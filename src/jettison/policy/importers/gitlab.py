r"""GitLab's clean-up policies (`container_expiration_policy`), as its API takes and gives them.

The unit is the tag; a policy is a project's, and holds for each of its repositories by itself. Sources, in
gitlabhq/gitlabhq: app/models/container_expiration_policy.rb (what is refused), app/services/projects/
container_repository/cleanup_tags_base_service.rb and gitlab/cleanup_tags_service.rb (what goes). An expression is
searched as `\A` + expression + `\z`, without a group, so that an alternation on its top level is not anchored.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from jettison.errors import PolicyImportError
from jettison.policy.importers.expressions import alternates, is_literal, re2_error
from jettison.policy.importers.model import FOLLOWERS, Imported, Options, imported, read_json, repository_of
from jettison.policy.importers.yaml_text import Node

OPTIONS: Final = ("project", "prefix", "registry")

_WRAPPERS: Final = ("container_expiration_policy_attributes", "container_expiration_policy")
_CADENCES: Final = ("1d", "7d", "14d", "1month", "3month")
_AGES: Final = ("7d", "14d", "30d", "60d", "90d")
_COUNTS: Final = (1, 5, 10, 25, 50, 100)
_DEFAULTS: Final[Mapping[str, Any]] = {
    "enabled": False,
    "cadence": "1d",
    "keep_n": 10,
    "older_than": "90d",
    "name_regex": ".*",
    "name_regex_keep": None,
    "name_regex_delete": None,
}
_NO_SETTINGS: Final = ("next_run_at",)
_LONGEST: Final = 255
_KINDS: Final = ("gitlab", "third-party")


@dataclass(frozen=True, slots=True)
class _Policy:
    """One policy after its checks. `expression` is what names the tags that may go."""

    enabled: bool
    cadence: str
    keep_n: int | None
    older_than: str | None
    expression: str
    kept: str
    ignored: tuple[str, ...]


def convert(text: str, options: Options) -> Imported:
    """Return our policy for a project's clean-up policy: bare, in the body of a PUT, or in the answer to a GET."""
    given = read_json(text, "400 Bad Request: no JSON")
    project = options.project
    if project is None and isinstance(given, dict):  # the answer of GET /projects/ID says it
        project = given.get("path_with_namespace")
    if not isinstance(project, str):
        raise PolicyImportError("a policy of GitLab does not say whose it is: tell with --project GROUP/PROJECT")
    kind = options.registry or "gitlab"
    if kind not in _KINDS:
        raise PolicyImportError(f"GitLab knows no registry {kind!r}: it is one of {', '.join(_KINDS)}")
    policy = _read(_settings(given))
    path = project.strip("/").lower()
    (name,) = repository_of(Options(prefix=options.prefix, repository=path))
    document: dict[str, Node] = {"name": f"GitLab project {path}", "repositories": [name, f"{name}/**"]}
    if not policy.enabled:
        document["enabled"] = False
    document["rules"] = _rules(policy, by="pushed" if kind == "gitlab" else "built")
    about = [
        f"Imported from the clean-up policy of GitLab's project {path}. It decides each tag by itself; `latest` and",
        "tags kept by name take no place in the count, and a tag goes only if it is beyond the count and old enough.",
        f"It ran there every {policy.cadence}; when it runs here, the schedule says.",
    ]
    if kind == "gitlab":
        about.append("The date is the tag's last push, as in GitLab's registry with its metadata database.")
    about.append(FOLLOWERS)
    warnings = [f"{key!r} is no setting of GitLab's and has no effect, there and here" for key in policy.ignored]
    if kind == "third-party":
        warnings.append("a creation date before 1990 counts as unknown here, there as very old")
    if policy.keep_n is not None:
        about.append("GitLab keeps the count in each page of 1,000 tags; here it holds for the repository.")
    return imported({"policies": [document]}, about, warnings if policy.enabled else ())


def _rules(policy: _Policy, by: str) -> list[Node]:
    rules: list[Node] = [{"name": "latest", "tags": "latest", "keep": {"everything": True}}]
    if policy.enabled and policy.kept:
        rules.append({"name": "kept by name", "tags": _anchored(policy.kept), "keep": {"everything": True}})
    if policy.enabled:
        rules.append({"name": "clean-up", "tags": _anchored(policy.expression), "keep": _keep(policy, by)})
    return rules


def _keep(policy: _Policy, by: str) -> Node:
    """Return the clause: beyond the count and older, so any of both keeps. Exactly as old as the limit stays."""
    count: dict[str, Node] = {"newest": policy.keep_n or 0, "of": "tags", "by": by, "unknown": "now"}
    age: dict[str, Node] = {"within": policy.older_than or "", "inclusive": True}
    if policy.keep_n is None:
        return ({**age, "by": by} if by != "pushed" else age) if policy.older_than else {"nothing": True}
    if policy.older_than is None:
        return count
    return {"any": [count, {**age, "by": by}]} if by != "pushed" else {**count, **age}


def _anchored(expression: str) -> Node:
    if expression in (".*", ".+"):
        return "*"
    if is_literal(expression):
        return expression
    if alternates(expression):
        return {"search": rf"\A{expression}\z"}
    return {"regex": expression}


def _settings(document: Any) -> Mapping[str, Any]:
    """Return the policy's object, wherever it is."""
    if isinstance(document, dict):
        inner = next((document[key] for key in _WRAPPERS if key in document), document)
        if isinstance(inner, list) and len(inner) == 1:  # as Terraform's state has it
            inner = inner[0]
        if isinstance(inner, dict) and (inner is not document or any(key in inner for key in _DEFAULTS)):
            return inner
    wrappers = " or ".join(_WRAPPERS)
    raise PolicyImportError(
        f"it holds no clean-up policy: an object with enabled, keep_n and so on, or below {wrappers}"
    )


def _read(given: Mapping[str, Any]) -> _Policy:
    """Check the settings as the model does. A key that is absent has its default."""
    settings = {**_DEFAULTS, **given}
    if not isinstance(settings["enabled"], bool):
        raise PolicyImportError(f"enabled must be true or false, and is {settings['enabled']!r}")
    _listed("cadence", settings["cadence"], _CADENCES)
    if settings["older_than"] is not None:
        _listed("older_than", settings["older_than"], _AGES)
    keep_n = settings["keep_n"]
    if isinstance(keep_n, str) and keep_n.isdecimal():  # the API takes a number in quotes
        keep_n = int(keep_n)
    if keep_n is not None:
        _listed("keep_n", keep_n, _COUNTS)
    expressions = {key: _text(key, settings[key]) for key in ("name_regex", "name_regex_keep", "name_regex_delete")}
    if settings["enabled"]:
        # GitLab's documentation leaves name_regex empty beside name_regex_delete, which wins over it.
        if not (expressions["name_regex_delete"] or expressions["name_regex"]).strip():
            raise PolicyImportError("name_regex can't be blank while the policy is enabled")
        for key, text in expressions.items():
            reason = re2_error(text)
            if reason is not None:
                raise PolicyImportError(f"{key} not valid RE2 syntax: {reason}")
    return _Policy(
        settings["enabled"],
        settings["cadence"],
        keep_n,
        settings["older_than"],
        expressions["name_regex_delete"] or expressions["name_regex"],
        expressions["name_regex_keep"],
        tuple(key for key in given if key not in _DEFAULTS and key not in _NO_SETTINGS),
    )


def _listed(key: str, value: Any, allowed: tuple[Any, ...]) -> None:
    if isinstance(value, bool) or value not in allowed:
        known = " ".join(map(str, allowed))
        raise PolicyImportError(f"{key} is not included in the list ({known}): {value!r}")


def _text(key: str, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise PolicyImportError(f"{key} must be a text, and is {value!r}")
    if len(value) > _LONGEST:
        raise PolicyImportError(f"{key} is too long (maximum is {_LONGEST} characters)")
    return value
