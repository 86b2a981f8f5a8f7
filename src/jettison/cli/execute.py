"""What the commands that delete have in common: from a plan to a report, and from there to collected space."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from jettison.app.outcome import PART
from jettison.cli.collection_options import CollectionChoice
from jettison.cli.ground import Ground
from jettison.cli.interpreter import yield_to_others
from jettison.cli.interrupt import Interruption, run_interruptibly
from jettison.cli.output import note, progress_on_terminal
from jettison.errors import UsageError

if TYPE_CHECKING:
    from jettison.app.apply_plan import ApplyReport
    from jettison.app.clean import Recorder
    from jettison.app.collect import Collection
    from jettison.app.collect_ours import Collected
    from jettison.app.use import Use
    from jettison.history.store import History
    from jettison.plan.model import Plan
    from jettison.policy.model import Limits


def apply_now(
    ground: Ground,
    history: "History",
    plan: "Plan",
    recorder: "Recorder",
    limits: "Limits",
    use: "Use | None" = None,
) -> "ApplyReport":
    """Apply a plan; Ctrl-C stops after the action under way. `use`: what is asked again for images in use."""
    from jettison.app.clean import apply_recorded
    from jettison.cli.opening import open_ground

    progress = progress_on_terminal("deleting:")

    async def work(interruption: Interruption) -> "ApplyReport":
        async with open_ground(ground, history, prove=True) as registry:
            interruption.deleting = True
            return await apply_recorded(
                registry,
                plan,
                recorder,
                limits,
                stop=lambda: interruption.wanted,
                progress=progress,
                use=use,
            )

    return run_interruptibly(work)


def check_collectable(ground: Ground) -> None:
    """Refuse, before anything is deleted, where our collector could not work. Raises UsageError, PreflightError."""
    from jettison.storage.changes import LocalChanges

    storage = ground.known_storage
    if ground.offline:
        from jettison.app.serving import refuse_serving

        if not ground.connection.offline:
            raise UsageError(
                f"is the registry of {storage.name} running? Give its URL to collect beside it, or --offline where it "
                "is stopped or read-only"
            )
        refuse_serving(ground.access, ground.running)
        if ground.access is None:
            # The configuration may know which registry works on a storage that was named by its folder.
            for access in ground.configured():
                refuse_serving(access, None)
    else:
        ground.server_facts()
    LocalChanges(storage).check()


def collect_ours(ground: Ground, collecting: CollectionChoice, recorder: "Recorder") -> "Collected":
    """Collect with our own collector, beside the serving registry or offline.

    Ctrl-C is safe at any point: what was begun is written down in the storage, and the next run goes on with it.
    """
    from jettison.app.collect_ours import collect_offline, collect_online
    from jettison.app.find_storage import reference_cache

    storage = ground.known_storage
    margins, known = collecting.margins(), reference_cache(storage)

    def now() -> datetime:
        return datetime.now(UTC)

    try:
        if ground.offline:
            collected = collect_offline(
                storage,
                recorder,
                margins=margins,
                purge_now=collecting.now,
                housekeeping=collecting.housekeeping,
                now=now,
                known=known,
                progress=progress_on_terminal("collecting:"),
            )
        else:
            from jettison.app.collect_online import GENTLE, Pace
            from jettison.app.collect_served import Replicas

            yield_to_others()
            asked = ground.connection.concurrency
            pace = Pace(asked, rest=0.0) if asked else GENTLE
            replicas = Replicas(
                ground.known_access,
                collecting.replica,
                ground.server_facts(),
                pace,
                metrics=ground.metrics(collecting.metrics),
            )

            async def work(interruption: Interruption) -> "Collected":
                return await collect_online(
                    storage,
                    replicas,
                    recorder,
                    margins=margins,
                    barriers=collecting.barriers(),
                    purge_now=collecting.now,
                    housekeeping=collecting.housekeeping,
                    now=now,
                    known=known,
                )

            collected = run_interruptibly(work)
    except KeyboardInterrupt:
        note("jettison: nothing that is needed is lost; the next `jettison gc` goes on where this one stopped")
        raise
    if not collected.report.is_whole:
        recorder.worsen(PART)
    return collected


def collect_theirs(ground: Ground, recorder: "Recorder", *, delete_untagged: bool = False) -> "Collection":
    """Collect with the registry's own collector. Raises UsageError where nothing says how the registry is reached."""
    from jettison.app.collect import collect

    if ground.running is None:
        raise UsageError(
            "--collector registry runs the registry's own garbage-collect where it runs; say how that is reached: "
            "--control docker, docker:NAME or systemd:UNIT"
        )
    return collect(ground.running, recorder, delete_untagged=delete_untagged)
