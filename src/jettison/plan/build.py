"""Build: from decisions to a plan. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from jettison.oci.digest import Digest
from jettison.oci.inventory import Inventory
from jettison.plan import model
from jettison.plan.groups import Grouping
from jettison.plan.model import Action, ActionKind, DeleteBy, Plan, Precondition, Reason, Server, Stay
from jettison.plan.space import Owner, Space, image_size
from jettison.policy import decision
from jettison.policy.decision import RepositoryDecisions, TagDecision
from jettison.policy.model import Limits, Share


def build_plan(
    inventory: Inventory,
    decisions: Iterable[RepositoryDecisions],
    *,
    policy: str,
    limits: Limits,
    server: Server,
    now: datetime,
    with_kept: bool = False,
    partial: bool = False,
    in_use: model.AskedInUse | None = None,
) -> Plan:
    """Turn decisions into actions, in the order in which they are to run, and weigh them.

    `policy` names the policy for the reader; `with_kept` lists what is kept as well, each with its reason; `partial`
    says that the inventory leaves repositories out on request; `in_use` is what the decisions know of running images.
    """
    space = Space.of(inventory)
    actions: list[Action] = []
    stays: list[Stay] = []
    kept: list[Stay] = []
    totals: list[model.RepositoryTotals] = []
    going: list[Owner] = []
    grouping = Grouping()
    limited: dict[str, tuple[Limits, list[str]]] = {}
    for decided in decisions:
        repository = decided.repository
        builder = _RepositoryBuilder(decided, space, server)
        mine = builder.actions()
        actions += mine
        grouping.add(decided, mine)
        stays += builder.stays()
        if with_kept:
            kept += [_stay(repository.name, each, each.reason) for each in decided.tags if each.kept]
        owners = [(repository.name, digest) for digest in decided.order]
        going += owners
        if decided.policy is not None and decided.policy.limits is not None:
            limited.setdefault(decided.policy.label, (decided.policy.limits, []))[1].append(repository.name)
        totals.append(
            model.RepositoryTotals(
                repository.name,
                len(repository.tags),
                sum(len(action.tags) for action in mine),
                sum(action.action is ActionKind.DELETE_MANIFEST for action in mine),
                space.freed_by(owners),
                repository.is_complete,
            )
        )
    return Plan(
        registry=inventory.registry,
        created=now,
        source=inventory.source,
        policy=policy,
        server=server,
        limits=model.PlanLimits(
            _written(limits.deletions),
            limits.last_image.value,
            tuple(
                model.PolicyLimits(label, tuple(names), _written(own.deletions), own.last_image.value)
                for label, (own, names) in limited.items()
            ),
        ),
        totals=model.Totals(
            repositories=len(totals),
            tags=sum(each.tags for each in totals),
            deleted_tags=sum(each.deleted_tags for each in totals),
            deleted_manifests=sum(each.deleted_manifests for each in totals),
            size=space.total,
            frees=space.freed_by(going),
            shared=space.shared_by(going),
        ),
        repositories=tuple(totals),
        actions=tuple(actions),
        stays=tuple(stays),
        problems=_problems(inventory),
        kept=tuple(kept) if with_kept else None,
        groups=grouping.weighed(space),
        partial=partial,
        in_use=in_use,
    )


class _RepositoryBuilder:
    """Makes the actions of one repository."""

    def __init__(self, decided: RepositoryDecisions, space: Space, server: Server) -> None:
        self._decided = decided
        self._repository = decided.repository
        self._space = space
        self._server = server
        self._tags: dict[Digest, list[TagDecision]] = {}
        for each in decided.tags:
            self._tags.setdefault(each.tag.digest, []).append(each)

    def actions(self) -> list[Action]:
        """Return manifests to delete, owners before what belongs to them, then tags that go alone."""
        actions: list[Action] = []
        for digest in self._decided.order:
            tags = self._tags.get(digest, [])
            if self._server.delete_by is DeleteBy.DIGEST:
                actions.append(self._delete_manifest(digest, tags))
            else:
                actions += [self._delete_tag(each, frees=each is tags[-1]) for each in tags]
        if self._server.deletes_tags is not False:
            actions += [self._delete_tag(each, frees=False) for each in self._expired_on_kept()]
        return actions

    def stays(self) -> list[Stay]:
        """Return the expired tags that a server which deletes no single tag must keep."""
        if self._server.deletes_tags is not False:
            return []
        return [
            _stay(self._repository.name, each, decision.Reason("server-deletes-no-tag", self._why_it_stays(each)))
            for each in self._expired_on_kept()
        ]

    def _expired_on_kept(self) -> list[TagDecision]:
        manifests = self._decided.manifests
        return [each for each in self._decided.tags if not each.kept and manifests[each.tag.digest].kept]

    def _why_it_stays(self, expired: TagDecision) -> str:
        others = [each.tag.name for each in self._tags[expired.tag.digest] if each.kept]
        stays = self._decided.manifests[expired.tag.digest].reason.text
        needs = f"{others[0]} needs the same manifest" if others else f"its image stays ({stays})"
        return f"expired ({expired.reason.text}), but {needs} and this server cannot delete a tag alone"

    def _delete_manifest(self, digest: Digest, tags: Sequence[TagDecision]) -> Action:
        why = tags[0].reason if tags else self._decided.manifests[digest].reason
        pointing = {each.tag.name: digest for each in tags}
        precondition = Precondition(pointing, True, digest in self._decided.dropped)
        frees = self._space.freed_by_one((self._repository.name, digest))
        return self._action(ActionKind.DELETE_MANIFEST, digest, tags, why, frees, precondition)

    def _delete_tag(self, expired: TagDecision, *, frees: bool) -> Action:
        digest, name = expired.tag.digest, expired.tag.name
        freed = self._space.freed_by_one((self._repository.name, digest)) if frees else 0
        precondition = Precondition({name: digest})
        return self._action(ActionKind.DELETE_TAG, digest, [expired], expired.reason, freed, precondition)

    def _action(
        self,
        kind: ActionKind,
        digest: Digest,
        tags: Sequence[TagDecision],
        why: decision.Reason,
        frees: int,
        precondition: Precondition,
    ) -> Action:
        repository = self._repository
        manifest = repository.manifests[digest]
        pushed = [each.tag.pushed for each in tags if each.tag.pushed is not None]
        return Action(
            action=kind,
            repository=repository.name,
            digest=digest,
            tags=tuple([each.tag.name for each in tags]),
            reason=_reason(why),
            kind=manifest.kind.value,
            size=image_size(repository, digest),
            frees=frees,
            precondition=precondition,
            created=max(pushed) if pushed else repository.pushed.get(digest) or repository.created(digest),
            platforms=repository.platforms(digest),
        )


def _written(deletions: Share | int | None) -> str | None:
    return None if deletions is None else str(deletions)


def _reason(why: decision.Reason) -> Reason:
    return Reason(why.code, why.text, why.rule, why.policy)


def _stay(repository: str, decided: TagDecision, why: decision.Reason) -> Stay:
    return Stay(repository, decided.tag.name, decided.tag.digest, _reason(why))


def _problems(inventory: Inventory) -> tuple[model.Problem, ...]:
    whole = [model.Problem(each.code, "", each.text) for each in inventory.problems]
    single = [
        model.Problem(each.code, repository.name, each.text)
        for repository in inventory.repositories
        for each in repository.problems
    ]
    return (*whole, *single)
