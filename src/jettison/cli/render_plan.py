"""A plan as a person reads it."""

from datetime import datetime
from typing import TYPE_CHECKING, Final

from jettison.cli.output import age_text, console, counted, exact_text, size_text, table
from jettison.oci.reference import subject_of_tag
from jettison.plan.guards import brakes
from jettison.plan.model import Action, DeleteBy, Plan

if TYPE_CHECKING:
    from rich.console import Console

    from jettison.policy.model import Limits

ROWS: Final = 500
"""How many rows a table shows before it is cut; the plan file always has all."""


def print_plan(plan: Plan, now: datetime, limits: "Limits", *, rows: int | None = ROWS, by: str | None = None) -> None:
    """Print the table, what stays and why, the totals, and what would stop it; at most `rows` rows, None for all.

    `by` rule, repository or reason: the table has their sums instead.
    """
    out = console()
    if plan.actions and by is not None:
        out.print(_sums_table(plan, by))
    elif plan.actions:
        shown = plan.actions[:rows]
        out.print(_actions_table(shown, now))
        if len(shown) < len(plan.actions):
            out.print(f"... and {len(plan.actions) - len(shown):,} more; --all shows them, -o plan.json keeps them\n")
    for stay in plan.stays[:rows]:
        out.print(f"stays: {stay.repository}:{stay.tag}: {stay.reason.text}", markup=False)
    if rows is not None and len(plan.stays) > rows:
        out.print(f"stays: ... and {len(plan.stays) - rows:,} more tags")
    for kept in plan.kept or ():
        out.print(f"kept: {kept.repository}:{kept.tag}: {kept.reason.text}", markup=False)
    print_in_use(plan, out)
    for problem in plan.problems:
        where = f"{problem.repository}: " if problem.repository else ""
        out.print(f"could not be read: {where}{problem.text}", markup=False)
    print_totals(plan, out)
    for brake in brakes(plan, limits) if plan.actions else ():
        out.print(f"apply would stop: {brake.text}", markup=False)


def print_in_use(plan: Plan, out: "Console") -> None:
    """Print what runs, as far as it was asked, and what is doubtful about it."""
    asked = plan.in_use
    if asked is None:
        return
    told = ", ".join(f"{name} {counted(count, 'image')}" for name, count in asked.images.items())
    out.print(
        f"In use here: {counted(asked.kept, 'tag or digest', 'tags and digests')} ({told or 'no source told'}).",
        markup=False,
    )
    for name, why in asked.silent.items():
        out.print(f"not asked: {name}: {why}", markup=False)
    if asked.names is None:
        out.print(
            "Nobody knows the registry's name, so every image that runs counts; --alias HOST tells it.", markup=False
        )
    for registry, repositories in asked.doubtful.items():
        out.print(
            f"images of {registry} run, and repositories of theirs are here too ({', '.join(repositories)}): if that "
            f"is another name of this registry, add it to its `aliases`, or --alias {registry}",
            markup=False,
        )


def print_totals(plan: Plan, out: "Console") -> None:
    """Print the sums of a plan."""
    totals = plan.totals
    out.print(
        f"{counted(totals.repositories, 'repository', 'repositories')}, {counted(totals.tags, 'tag')}, "
        f"{size_text(totals.size)} in all."
    )
    if not plan.actions:
        out.print("Nothing to delete.")
        return
    deleted = counted(totals.deleted_tags, "tag")
    manifests = counted(totals.deleted_manifests, "manifest")
    what = f"{deleted}" if plan.server.delete_by is DeleteBy.TAG else f"{deleted} and {manifests}"
    bound = "" if plan.source != "api" and plan.is_whole else "up to "
    shared = f"; {size_text(totals.shared)} of what they use is shared with something kept" if totals.shared else ""
    out.print(f"To delete: {what}. Frees {bound}{exact_text(totals.frees)}{shared}.", markup=False)
    if plan.server.delete_by is DeleteBy.TAG:
        out.print(
            "Tags only: their manifests stay until untagged ones are collected. --delete-by digest, or --control, "
            "deletes them as well."
        )


def _actions_table(actions: tuple[Action, ...], now: datetime) -> object:
    made = table("repository", "tag", "digest", "age", "size", "frees", "reason", right=("size", "frees"))
    for action in actions:
        made.add_row(
            action.repository,
            ", ".join(short_tag(tag) for tag in action.tags) or "-",
            action.digest.short,
            age_text(action.created, now),
            size_text(action.size),
            size_text(action.frees),
            action.reason.text,
        )
    return made


def _sums_table(plan: Plan, by: str) -> object:
    made = table(by, "tags", "manifests", "frees", right=("tags", "manifests", "frees"))
    if by == "repository":
        sums = [(each.name, each.deleted_tags, each.deleted_manifests, each.frees) for each in plan.repositories]
    else:
        sums = [(each.name, each.tags, each.manifests, each.frees) for each in plan.groups if each.by == by]
    for name, tags, manifests, frees in sorted(sums, key=lambda each: (-each[3], each[0])):
        if tags or manifests:
            made.add_row(name, f"{tags:,}", f"{manifests:,}", size_text(frees))
    return made


def short_tag(tag: str) -> str:
    """Return a tag as tables show it: the digest in `sha256-<hex>.sig` is cut like any other."""
    subject = subject_of_tag(tag)
    return tag if subject is None else tag.replace(subject.hex, f"{subject.short}…")
