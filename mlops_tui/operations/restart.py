"""`restart`, `pause`, `resume`: what `kubectl rollout` does by the same names."""

from collections.abc import Awaitable, Callable

from mlops_tui.domain.base import RowKind
from mlops_tui.domain.operation import Change, Concern, PlanRequest
from mlops_tui.operations.base import Draft, Execution, Place, Step, Verb
from mlops_tui.operations.journal import Record
from mlops_tui.operations.rollback import revisions
from mlops_tui.operations.rollouts import (
    CHANGE_CAUSE,
    DEPLOYMENTS,
    Prepare,
    Target,
    cause,
    find,
    follow,
    followed,
    gitops,
    leave_event,
    not_permitted,
    patch,
    settled,
)
from mlops_tui.operations.systems import Json

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
PAUSED = Concern(text="it is paused: nothing would be rolled out", hint="resume it first")


class Restart(Verb):
    """Starts every pod anew by stamping the template, as `kubectl rollout restart` does."""

    name = "restart"
    kind = RowKind.ROLLOUT
    target = "NAMESPACE/NAME of a Deployment"
    summary = "Start every pod anew, a few at a time"

    async def plan(self, request: PlanRequest, place: Place) -> Draft:
        target = await find(request, place)
        title = f"Restart {target.address}"
        accepted: list[Json] = []

        async def act(execution: Execution) -> None:
            stamp = execution.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
            why = cause(execution, "restarted")
            accepted.append(await patch(target, lambda now: _stamped(now, stamp, why), title))
            await leave_event(target, execution, "Restarted", "restarted")

        def look(now: Json) -> bool:
            accepted.append(now)
            return _stamp(now) != _stamp(target.body)

        async def happened() -> bool | None:
            return await settled(target, look)

        verify = followed(target, accepted, "template", "paused")

        return Draft(
            title=title,
            name=target.address,
            environment=target.environment,
            changes=(Change(what="restarted at", before=_stamp(target.body), after="now"),),
            warnings=gitops(target),
            refusals=(
                *((PAUSED,) if target.paused else ()),
                *await not_permitted(target, ("patch", DEPLOYMENTS, "")),
            ),
            steps=(Step(f"restart {target.address}", act, happened, verify),),
            command=target.kubectl("rollout", "restart", f"deployment/{target.name}"),
            lock=target.namespace,
            patience=600.0,
        )

    async def happened(self, record: Record, place: Place) -> bool | None:
        # The revision that a restart makes says whose it is, for as long as it is kept.
        target = await find(record.request, place)
        found = [target.body, *(await revisions(target)).values()]
        causes = [(body["metadata"].get("annotations") or {}).get(CHANGE_CAUSE, "") for body in found]
        return any(f"mlops-tui {record.operation}" in said for said in causes)


def _stamp(body: Json) -> str:
    metadata = body["spec"]["template"].get("metadata") or {}
    return str((metadata.get("annotations") or {}).get(RESTARTED_AT, ""))


def _stamped(now: Json, stamp: str, why: str) -> list[Json]:
    template = now["spec"]["template"].get("metadata") or {}
    annotations = {**(template.get("annotations") or {}), RESTARTED_AT: stamp}
    own = {**(now["metadata"].get("annotations") or {}), CHANGE_CAUSE: why}
    metadata = {**template, "annotations": annotations}
    return [
        {"op": "add", "path": "/spec/template/metadata", "value": metadata},
        {"op": "add", "path": "/metadata/annotations", "value": own},
    ]


class _Halt(Verb):
    """What pausing and resuming have in common."""

    kind = RowKind.ROLLOUT
    target = "NAMESPACE/NAME of a Deployment"
    pauses: bool
    done: str

    async def plan(self, request: PlanRequest, place: Place) -> Draft:
        target = await find(request, place)
        title = f"{self.name.capitalize()} {target.address}"

        async def act(execution: Execution) -> None:
            await patch(target, self._prepare(), title)
            await leave_event(target, execution, self.done.capitalize(), self.done)

        async def happened() -> bool | None:
            return await settled(target, lambda now: bool(now["spec"].get("paused")) is self.pauses)

        words = {True: "paused", False: "rolling out"}
        undo = "resume" if self.pauses else "pause"
        return Draft(
            title=title,
            name=target.address,
            environment=target.environment,
            changes=(Change(what="rollout", before=words[target.paused], after=words[self.pauses]),),
            warnings=gitops(target),
            refusals=await not_permitted(target, ("patch", DEPLOYMENTS, "")),
            idle=f"it is {words[self.pauses]} already" if target.paused is self.pauses else "",
            steps=(Step(f"{self.name} {target.address}", act, happened, self._verify(target)),),
            command=target.kubectl("rollout", self.name, f"deployment/{target.name}"),
            undo=request.model_copy(update={"verb": undo, "environment": target.environment}),
            lock=target.namespace,
        )

    def _prepare(self) -> Prepare:
        if self.pauses:
            return lambda now: [{"op": "add", "path": "/spec/paused", "value": True}]
        return lambda now: [{"op": "remove", "path": "/spec/paused"}] if "paused" in now["spec"] else []

    def _verify(self, target: Target) -> Callable[[Execution], Awaitable[str]]:
        async def verify(execution: Execution) -> str:
            now = await target.cluster.get(DEPLOYMENTS, target.namespace, target.name)
            if self.pauses:
                return f"{target.address} is paused"
            return await follow(target, execution, now, "template", "paused")

        return verify


class Pause(_Halt):
    """Stops rolling out: changes of the template wait."""

    name = "pause"
    summary = "Stop rolling out; what runs goes on running"
    pauses = True
    done = "paused"


class Resume(_Halt):
    """Goes on rolling out."""

    name = "resume"
    summary = "Go on rolling out"
    pauses = False
    done = "resumed"
