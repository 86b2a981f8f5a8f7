"""`jettison explain`: why one image stays or goes."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jettison.cli.options import (
    Connection,
    PolicyChoice,
    connection_options,
    json_option,
    policy_options,
    storage_options,
)
from jettison.cli.reading import inventory_option
from jettison.cli.use_options import UseChoice, use_options

if TYPE_CHECKING:
    from jettison.app.explain import Explained


@click.command()
@click.argument("image", metavar="[REGISTRY/]REPOSITORY:TAG|@DIGEST")
@connection_options
@storage_options
@policy_options
@use_options
@inventory_option
@click.option("--whole", is_flag=True, help="Read all repositories, so that what deleting it frees is exact.")
@json_option
def command(
    connection: Connection,
    choice: PolicyChoice,
    use: UseChoice,
    image: str,
    inventory: Path | None,
    *,
    whole: bool,
    as_json: bool,
) -> int:
    """Tell why an image stays or goes: the rule that claims it, each clause, its place, and when it will expire.

    One repository is read and decided. What deleting the image frees is therefore "up to" so much, for others may
    share its layers: --whole reads them too.

    \b
    jettison explain http://127.0.0.1:5000/team/app:1.2.3 --policy policy.yaml
    jettison explain team/app@sha256:3b4f... --storage /var/lib/registry --keep 10
    """
    from jettison.app.explain import explain_in
    from jettison.cli.output import print_json
    from jettison.cli.reading import Reading
    from jettison.cli.render_explain import print_explanation

    now = datetime.now(UTC)
    registry, repository, wanted = split_image(image, connection)
    reading = Reading.find(connection, inventory, registry)
    policy, name = choice.load(*reading.policy_configured)
    in_use = reading.in_use(policy, use)
    found = reading.read(now, None if whole or inventory is not None else repository)
    is_whole = whole or inventory is not None
    explained = explain_in(found, policy, now, repository, wanted, is_whole=is_whole, in_use=in_use)
    if as_json:
        print_json(document(explained, found.registry, name))
    else:
        print_explanation(explained, now, found.registry)
    return 0


def split_image(image: str, connection: Connection) -> tuple[str | None, str, str]:
    """Return the registry (None: the default one), the repository, and the tag or `@` with a digest.

    A registry is what has `://`, a name of the configuration, or a first part with a dot or colon, as docker has it.
    Raises UsageError.
    """
    from jettison.errors import UsageError
    from jettison.oci.reference import is_repository

    name, at, digest = image.partition("@")
    scheme, has_scheme, rest = name.partition("://")
    if not has_scheme:
        rest = name
    head, colon, tag = rest.rpartition(":")
    if at or not colon or "/" in tag:
        head, tag = rest, ""
    if not tag and not digest:
        raise UsageError(f"{image}: which image? Write REPOSITORY:TAG or REPOSITORY@DIGEST")
    first, slash, repository = head.partition("/")
    registry: str | None = None
    if has_scheme:
        registry = f"{scheme}://{first}"
    elif slash and (first == "localhost" or set(".:") & set(first) or first in connection.configuration().registries):
        registry = first
    else:
        repository = head
    if not is_repository(repository):
        raise UsageError(f"{image}: {repository!r} is no repository's name")
    return registry, repository, f"@{digest}" if at else tag


def document(explained: "Explained", registry: str, policy: str) -> dict[str, object]:
    """Return an explanation for --json."""
    explanation = asdict(explained.explanation)
    expiry = explanation.pop("expiry")
    reason = {"reason": _reason(explained.explanation.reason)}
    return {
        "version": 1,
        "registry": registry,
        "policy_file": policy,
        **explanation,
        **reason,
        "manifest_reason": _reason(explained.explanation.manifest_reason),
        "expires": expiry["moment"],
        "expires_is_known": expiry["is_known"],
        "expires_reason": _reason(explained.explanation.expiry.reason),
        "size": explained.size,
        "frees": explained.frees,
        "frees_is_exact": explained.is_whole,
        "elsewhere": explained.elsewhere,
    }


def _reason(reason: object) -> object:
    import msgspec

    return msgspec.to_builtins(reason)
