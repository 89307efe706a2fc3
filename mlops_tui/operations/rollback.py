"""`rollback`: a Deployment goes back to an earlier revision, as `kubectl rollout undo` does, mid-failure too.

What is left behind is what kubectl leaves: the template of the old ReplicaSet without its hash, and its annotations in
the place of the Deployment's own, but for those that belong to the Deployment itself (kubectl's `rollback.go`).
"""

from datetime import datetime
from typing import Final

from mlops_tui.ages import age
from mlops_tui.domain.base import RowKind
from mlops_tui.domain.errors import ConfigError
from mlops_tui.domain.operation import Change, Choice, Concern, FieldKind, PlanField, PlanRequest
from mlops_tui.operations.base import Draft, Execution, Parameter, Place, Step, Verb
from mlops_tui.operations.journal import Record
from mlops_tui.operations.rollouts import (
    CHANGE_CAUSE,
    DEPLOYMENTS,
    REPLICA_SETS,
    REVISION,
    Target,
    find,
    followed,
    gitops,
    leave_event,
    not_permitted,
    patch,
    settled,
)
from mlops_tui.operations.systems import Json

OF_THE_DEPLOYMENT: Final = (
    "kubectl.kubernetes.io/last-applied-configuration",
    "deployment.kubernetes.io/revision",
    "deployment.kubernetes.io/revision-history",
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
    "deprecated.deployment.rollback.to",
)
"""Annotations that a rollback leaves as the Deployment has them."""
HASH: Final = "pod-template-hash"


class Rollback(Verb):
    """Puts the template of an earlier revision back."""

    name = "rollback"
    kind = RowKind.ROLLOUT
    target = "NAMESPACE/NAME of a Deployment"
    summary = "Go back to an earlier revision"
    parameters = (Parameter("to_revision", "the revision; the one before the present one if not given"),)

    async def plan(self, request: PlanRequest, place: Place) -> Draft:
        target = await find(request, place)
        history = await revisions(target)
        present = _template(target.body)
        current = next((number for number, body in history.items() if _template(body) == present), None)
        chosen = self._chosen(request, target, history, current)
        title = f"Roll {target.address} back to revision {chosen}"
        same = chosen is not None and _template(history[chosen]) == present
        steps = (self._step(target, history[chosen], title),) if chosen is not None else ()
        return Draft(
            title=title if chosen is not None else f"Roll {target.address} back",
            name=target.address,
            environment=target.environment,
            fields=(_field(history, current, chosen, place),) if history else (),
            changes=_changes(target, history, current, chosen),
            warnings=gitops(target),
            refusals=(
                *_impossible(target, chosen),
                *await not_permitted(target, ("patch", DEPLOYMENTS, "")),
            ),
            idle=f"its template is that of revision {chosen} already" if same else "",
            steps=steps,
            command=target.kubectl("rollout", "undo", f"deployment/{target.name}", f"--to-revision={chosen or 0}"),
            undo=self._undo(request, target, current),
            lock=target.namespace,
            patience=600.0,
            facts={
                "revision": str(chosen or ""),
                "replica_set": history[chosen]["metadata"]["name"] if chosen is not None else "",
                "from": str(current or ""),
                "image": _images(present),
            },
        )

    async def happened(self, record: Record, place: Place) -> bool | None:
        # By the ReplicaSet: revisions that are rolled out again get new numbers.
        target = await find(record.request.model_copy(update={"environment": record.environment}), place)
        revision = await target.cluster.get(REPLICA_SETS, target.namespace, record.facts["replica_set"])
        return _template(target.body) == _template(revision)

    def _chosen(
        self, request: PlanRequest, target: Target, history: dict[int, Json], current: int | None
    ) -> int | None:
        """Return the revision to go back to; `None` where there is none."""
        asked = self.parameter(request, "to_revision")
        if asked:
            if not asked.isdigit() or int(asked) not in history:
                known = ", ".join(map(str, sorted(history, reverse=True))) or "none is kept"
                raise ConfigError(f"rollback {request.target}: there is no revision {asked}", f"there are: {known}")
            return int(asked)
        earlier = [number for number in history if current is None or number != current]
        # As kubectl: the second newest, whatever the present one is.
        return max(earlier, default=None)

    @staticmethod
    def _undo(request: PlanRequest, target: Target, current: int | None) -> PlanRequest | None:
        if current is None:
            return None
        # Going back gives the old revision a new number, and leaves the present one its own.
        back = {"to_revision": str(current)}
        return request.model_copy(update={"environment": target.environment, "parameters": back})

    @staticmethod
    def _step(target: Target, revision: Json, title: str) -> Step:
        accepted: list[Json] = []

        async def act(execution: Execution) -> None:
            accepted.append(await patch(target, lambda now: undo_patch(now, revision), title))
            number = revision["metadata"]["annotations"].get(REVISION, "?")
            await leave_event(target, execution, "RolledBack", f"rolled back to revision {number}")

        def look(now: Json) -> bool:
            accepted.append(now)
            return _template(now) == _template(revision)

        async def happened() -> bool | None:
            return await settled(target, look)

        return Step(title[0].lower() + title[1:], act, happened, followed(target, accepted, "template", "paused"))


async def revisions(target: Target) -> dict[int, Json]:
    """Return the ReplicaSets that a Deployment controls, by revision, oldest first."""
    labels = target.body["spec"]["selector"].get("matchLabels") or {}
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    uid = target.body["metadata"]["uid"]
    found: dict[int, Json] = {}
    for body in await target.cluster.find(REPLICA_SETS, target.namespace, selector):
        metadata = body["metadata"]
        owned = any(o.get("uid") == uid and o.get("controller") for o in metadata.get("ownerReferences") or ())
        number = (metadata.get("annotations") or {}).get(REVISION, "")
        if owned and number.isdigit():
            found[int(number)] = body
    return dict(sorted(found.items()))


def undo_patch(now: Json, revision: Json) -> list[Json]:
    """Return the JSON patch with which kubectl undoes a rollout."""
    kept = {k: v for k, v in (now["metadata"].get("annotations") or {}).items() if k in OF_THE_DEPLOYMENT}
    old = {k: v for k, v in (revision["metadata"].get("annotations") or {}).items() if k not in OF_THE_DEPLOYMENT}
    return [
        {"op": "replace", "path": "/spec/template", "value": _template(revision)},
        {"op": "add", "path": "/metadata/annotations", "value": {**old, **kept}},
    ]


def _template(body: Json) -> Json:
    """Return an object's pod template without the hash that ReplicaSets carry."""
    template = body["spec"]["template"]
    metadata = {**(template.get("metadata") or {})}
    labels = {k: v for k, v in (metadata.pop("labels", None) or {}).items() if k != HASH}
    return {**template, "metadata": {**metadata, **({"labels": labels} if labels else {})}}


def _images(template: Json) -> str:
    return ", ".join(str(container.get("image", "")) for container in template["spec"].get("containers") or ())


def _cause_of(body: Json) -> str:
    return str((body["metadata"].get("annotations") or {}).get(CHANGE_CAUSE, ""))


def _field(history: dict[int, Json], current: int | None, chosen: int | None, place: Place) -> PlanField:
    now = place.clock.now()
    choices = []
    for number, body in sorted(history.items(), reverse=True):
        created = datetime.fromisoformat(body["metadata"]["creationTimestamp"])
        notes = [_images(_template(body)), age(created, now), _cause_of(body)]
        label = f"{number} (now)" if number == current else str(number)
        choices.append(Choice(value=str(number), label=label, note="  ".join(filter(None, notes))))
    return PlanField(
        name="to_revision", label="Revision", kind=FieldKind.CHOICE, value=str(chosen or ""), choices=tuple(choices)
    )


def _changes(target: Target, history: dict[int, Json], current: int | None, chosen: int | None) -> tuple[Change, ...]:
    if chosen is None:
        return ()
    then = _template(history[chosen])
    own = (target.body["metadata"].get("annotations") or {}).get(CHANGE_CAUSE, "")
    found = [
        Change(what="revision", before=str(current or "not kept"), after=f"that of {chosen}, as a new one"),
        Change(what="image", before=_images(_template(target.body)), after=_images(then)),
        Change(what="cause", before=own, after=_cause_of(history[chosen])),
    ]
    return tuple(change for change in found if change.before != change.after)


def _impossible(target: Target, chosen: int | None) -> tuple[Concern, ...]:
    found = []
    if target.paused:
        found.append(Concern(text="it is paused: a rollback would wait", hint="resume it first"))
    if chosen is None:
        found.append(Concern(text="no earlier revision is kept", hint="spec.revisionHistoryLimit says how many are"))
    return tuple(found)
