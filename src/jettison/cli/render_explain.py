"""An explanation as a person reads it."""

from datetime import datetime
from typing import TYPE_CHECKING, Final

from jettison.cli.output import age_text, console, counted, exact_text, size_text
from jettison.cli.render_plan import short_tag
from jettison.policy.explain import Claimed, Explanation, Relation, Weighed

if TYPE_CHECKING:
    from rich.console import Console

    from jettison.app.explain import Explained

_MARKS: Final = {True: "keeps", False: "does not keep", None: "cannot tell, so keeps"}
_BONDS: Final = {
    "index": "a platform of",
    "subject": "refers to",
    "platform": "has the platform",
    "referrer": "referred to by",
}
_MOST_RELATIONS: Final = 20


def print_explanation(explained: "Explained", now: datetime, registry: str) -> None:
    """Print all of it."""
    out = console()
    found = explained.explanation

    def line(label: str, text: str) -> None:
        out.print(f"{label + ':':<12} {text}", markup=False)

    image = f"{found.repository}:{found.tag}" if found.tag is not None else f"{found.repository}@{found.digest.short}"
    fate = "stays" if found.kept else "goes"
    out.print(f"{registry}: {image} {fate}: {found.reason.text}", markup=False)
    if found.kept and found.tag is not None and not found.manifest_kept:
        line("manifest", f"goes: {found.manifest_reason.text}")
    if not found.kept and found.manifest_kept:
        line("manifest", f"stays: {found.manifest_reason.text}")
    out.print()
    line("digest", f"{found.digest} ({found.kind}, {size_text(explained.size)})")
    line("pushed", _date_text(found.pushed, now))
    line("created", _date_text(found.created, now))
    if found.pulled is not None:
        line("pulled", _date_text(found.pulled, now))
    line("policy", found.policy if found.policy is not None else "none applies to this repository")
    if found.claimed is not None:
        _print_claim(found.claimed, found, out)
    elif found.reason.rule is not None:
        line("rule", f"{found.reason.rule!r}: {found.reason.text}")
    else:
        line("rule", "none decides it")
    for sharer in found.shares[:_MOST_RELATIONS]:
        fate = "stays" if sharer.kept else "goes"
        line("same digest", f"{short_tag(sharer.tag)}, which {fate}: {sharer.reason.text}")
    if explained.elsewhere:
        line("also in", ", ".join(explained.elsewhere))
    for relation in found.relations[:_MOST_RELATIONS]:
        line(_BONDS[relation.bond], _relation_text(relation))
    left_out = max(len(found.shares) - _MOST_RELATIONS, 0) + max(len(found.relations) - _MOST_RELATIONS, 0)
    if left_out:
        line("...", f"and {left_out:,} more; --json has all")
    line("expires", _expiry_text(found, now))
    line("frees", _frees_text(explained))


def _print_claim(claimed: Claimed, found: Explanation, out: "Console") -> None:
    unit = "image" if found.unit == "image" else "tag"
    text = f"{claimed.rule!r}, number {claimed.number}, selects {claimed.selector}"
    out.print(f"{'rule:':<12} {text}; it claims {counted(claimed.claims, unit)}", markup=False)
    _print_weighed(claimed.weighed, out, 1)


def _print_weighed(weighed: Weighed, out: "Console", depth: int) -> None:
    indent = "  " * depth
    out.print(f"{indent}{_MARKS[weighed.keeps]}  {weighed.clause}  ({weighed.text})", markup=False)
    for each in weighed.around:
        mark = ">" if each.is_this else " "
        kept = "" if each.kept else "  (not kept by this count)"
        out.print(f"{indent}    {mark} {each.place:>4}  {each.name}{kept}", markup=False)
    if weighed.counted is not None and weighed.around and weighed.around[-1].place < weighed.counted:
        out.print(f"{indent}           ... of {weighed.counted:,}", markup=False)
    for part in weighed.parts:
        _print_weighed(part, out, depth + 1)


def _date_text(moment: datetime | None, now: datetime) -> str:
    return "unknown" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC ({age_text(moment, now)} ago)"


def _relation_text(relation: Relation) -> str:
    tags = f" ({', '.join(map(short_tag, relation.tags[:3]))})" if relation.tags else ""
    if not relation.is_here:
        return f"{relation.digest.short}{tags}, which is not in this repository"
    fate = {True: "stays", False: "goes", None: "stays"}[relation.kept]
    return f"{relation.digest.short}{tags}, which {fate}"


def _expiry_text(found: Explanation, now: datetime) -> str:
    expiry = found.expiry
    if not found.kept:
        return "now, with the next run"
    if not expiry.is_known:
        return "not worked out: its clauses are composed, and hang on what else goes at each run until then"
    if expiry.moment is None:
        return "never, as long as nothing is pushed, pulled or deleted" + _pushed_out_text(found.claimed)
    days = -((now - expiry.moment).days)
    return f"{expiry.moment:%Y-%m-%d} (in {counted(days, 'day')}), if nothing is pushed or pulled: {expiry.reason.text}"


def _pushed_out_text(claimed: Claimed | None) -> str:
    """Tell how many newer ones push it out, where nothing but counts keeps it."""
    if claimed is None:
        return ""
    weighed = claimed.weighed
    rooms = [part.room for part in weighed.parts or (weighed,) if part.keeps]
    if weighed.clause.startswith(("all:", "not:")) or not rooms or None in rooms:
        return ""
    room = max(each for each in rooms if each is not None)
    return f"; {counted(room, 'newer one')} in the same count would push it out"


def _frees_text(explained: "Explained") -> str:
    found = explained.explanation
    bound = "" if explained.is_whole else "up to "
    text = f"{bound}{exact_text(explained.frees)}"
    also = len(found.deletes) - 1
    with_it = f", with {counted(also, 'manifest')} that belong{'s' if also == 1 else ''} to it" if also else ""
    if found.tag is not None and found.shares:
        others = ", ".join(short_tag(each.tag) for each in found.shares[:3])
        text = (
            f"nothing by itself, since {others} needs the same manifest; with all {len(found.shares) + 1} tags {text}"
        )
    limit = "" if explained.is_whole else "; sharing beyond this repository was not read, --whole does"
    return f"{text}{with_it}{limit}"
