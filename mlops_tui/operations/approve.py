"""`approve`: a run that waits for somebody's word before it deploys goes on, or does not."""

from collections.abc import Sequence

from mlops_tui.domain.base import RowKind
from mlops_tui.domain.errors import ConfigError, Conflict
from mlops_tui.domain.operation import Change, Choice, Concern, FieldKind, PlanField, PlanRequest
from mlops_tui.operations.base import Draft, Execution, NotVerified, Parameter, Place, Step, Verb
from mlops_tui.operations.journal import Record
from mlops_tui.operations.repositories import gh, look, not_permitted, poll, read_only
from mlops_tui.operations.runs import TARGET, Target, find, state_of
from mlops_tui.operations.systems import Json

ALL = "all"
DECISIONS = {"approve": "approved", "reject": "rejected"}
NEEDS = "deployments: write"
AGAIN = "look at the row"


class Approve(Verb):
    """Approves or rejects the deployments that a run waits with."""

    name = "approve"
    kind = RowKind.RUN
    target = TARGET
    summary = "Approve or reject the deployment that a run waits with"
    parameters = (
        Parameter("decision", "approve or reject; approve if not given", FieldKind.CHOICE),
        Parameter("environments", "GitHub's environments, with commas; all that wait if not given", FieldKind.CHOICE),
        Parameter("comment", "what to say with it"),
    )

    async def plan(self, request: PlanRequest, place: Place) -> Draft:
        target = await find(request, place)
        decision = self.parameter(request, "decision") or "approve"
        if decision not in DECISIONS:
            raise ConfigError(f"approve {request.target}: {decision} is no decision", f"one of: {', '.join(DECISIONS)}")
        pending = await target.forge.pending(target.repository, target.id)
        asked = self.parameter(request, "environments") or ALL
        chosen = _chosen(asked, pending, request)
        comment = self.parameter(request, "comment")
        names = [_name(each) for each in chosen]
        what = f"{', '.join(names) or 'the deployment'} of {target.name} in {target.repository}"
        return Draft(
            title=f"{decision.capitalize()} {what}",
            name=target.name,
            environment=target.environment or _environment(names, place),
            fields=_fields(decision, asked, comment, pending),
            changes=tuple(Change(what=name, before="waits", after=DECISIONS[decision]) for name in names),
            warnings=_doubts(chosen, decision),
            refusals=(
                *await not_permitted(target.forge, target.repository, NEEDS),
                *read_only(target.repository, place),
                *(refusal for each in chosen for refusal in _refusal(each)),
            ),
            idle="" if chosen else f"it waits for nobody's approval: it is {state_of(target.body)}",
            steps=(_step(target, chosen, decision, comment, place),) if chosen else (),
            command=_command(target, chosen, decision, comment, place),
            preview=await _evidence(target),
            patience=120.0,
            facts={"environments": ", ".join(names), "decision": decision},
        )

    async def happened(self, record: Record, place: Place) -> bool | None:
        target = await find(record.request, place)
        if await _said(target, record.operation):
            return True
        names = record.facts.get("environments", "").split(", ")
        pending = await target.forge.pending(target.repository, target.id)
        # What nobody waits for any more was decided, and not by this operation.
        return None if any(_name(each) in names for each in pending) else False


async def _evidence(target: Target) -> str:
    """Return what is being decided: the change, its commit, and how the jobs before it ended."""
    body = target.body
    commit, branch = str(body.get("head_sha") or "")[:7], str(body.get("head_branch") or "")
    jobs = await target.forge.jobs(target.repository, target.id)
    ended = [f"{job['name']}: {job['conclusion']}" for job in jobs if job.get("conclusion")]
    return "\n\n".join(filter(None, (f"{body.get('display_title') or ''} ({commit} on {branch})", ", ".join(ended))))


def _chosen(asked: str, pending: Sequence[Json], request: PlanRequest) -> list[Json]:
    """Return the pending deployments that are asked for. Raises `ConfigError` for one that does not wait."""
    if asked == ALL or not pending:
        return list(pending)
    known = {_name(each): each for each in pending}
    names = [name.strip() for name in asked.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise ConfigError(f"approve {request.target}: {name} does not wait", f"what waits: {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(names)]


def _name(pending: Json) -> str:
    return str((pending.get("environment") or {}).get("name") or "")


def _id(pending: Json) -> int:
    return int(pending["environment"]["id"])


def _environment(names: Sequence[str], place: Place) -> str:
    """Return the environment whose rules hold: a protected one first, since they are the stricter ones."""
    ours = {name.casefold(): name for name in place.environments}
    found = [ours[name.casefold()] for name in names if name.casefold() in ours]
    return next((name for name in found if place.environments[name].protected), next(iter(found), ""))


def _refusal(pending: Json) -> tuple[Concern, ...]:
    if pending.get("current_user_can_approve") is not False:
        return ()
    reviewers = [each.get("reviewer") or {} for each in pending.get("reviewers") or ()]
    names = [str(each.get("login") or each.get("slug") or "") for each in reviewers]
    hint = f"one of its reviewers may: {', '.join(filter(None, names))}" if any(names) else ""
    return (Concern(text=f"you may not approve {_name(pending)}", hint=hint, permission=True),)


def _doubts(chosen: Sequence[Json], decision: str) -> tuple[Concern, ...]:
    found = [
        Concern(text=f"{_name(each)} waits {each['wait_timer']} minutes by itself, too")
        for each in chosen
        if each.get("wait_timer") and decision == "approve"
    ]
    if decision == "reject" and chosen:
        found.append(Concern(text="the run fails by it", hint="to try again it has to be run again"))
    return tuple(found)


def _fields(decision: str, asked: str, comment: str, pending: Sequence[Json]) -> tuple[PlanField, ...]:
    decisions = tuple(Choice(value=each, label=each) for each in DECISIONS)
    names = tuple(Choice(value=_name(each), label=_name(each)) for each in pending)
    environments = (Choice(value=ALL, label="all that wait"), *names)
    return (
        PlanField(name="decision", label="Decision", kind=FieldKind.CHOICE, value=decision, choices=decisions),
        PlanField(name="environments", label="Environments", kind=FieldKind.CHOICE, value=asked, choices=environments),
        PlanField(name="comment", label="Comment", kind=FieldKind.LINE, value=comment),
    )


def _remark(comment: str, operation: str) -> str:
    """Return the comment as it is sent: it is plain text, so its mark shows."""
    mark = f"(mlops-tui {operation})"
    return f"{comment} {mark}" if comment else mark


async def _said(target: Target, operation: str) -> bool:
    """Say whether a decision of this operation is among those that reviewers have taken."""
    mark = _remark("", operation)
    approvals = await target.forge.approvals(target.repository, target.id)
    return any(mark in str(approval.get("comment") or "") for approval in approvals)


def _step(target: Target, chosen: Sequence[Json], decision: str, comment: str, place: Place) -> Step:
    names, ids = ", ".join(_name(each) for each in chosen), [_id(each) for each in chosen]
    title = f"{decision} {names}"
    operations: list[str] = []
    timed = decision == "approve" and any(each.get("wait_timer") for each in chosen)

    async def waiting() -> list[int]:
        return [_id(each) for each in await target.forge.pending(target.repository, target.id)]

    async def act(execution: Execution) -> None:
        operations.append(execution.operation)
        now = await waiting()
        if any(each not in now for each in ids):
            raise Conflict(f"{title}: somebody else has decided it, or the run has ended", AGAIN)
        remark = _remark(comment, execution.operation)
        await target.forge.decide(target.repository, target.id, ids, approve=decision == "approve", comment=remark)

    async def seen() -> bool | None:
        return True if await _said(target, operations[-1]) else None

    async def happened() -> bool | None:
        return await look(place.clock, seen)

    async def verify(execution: Execution) -> str:
        async for left in poll(execution, waiting):
            if any(each in left for each in ids):
                execution.say(f"{names} still waits")
                if timed and await _said(target, operations[-1]):
                    return f"{names} approved: the wait timer runs on: {target.url}"
                continue
            run = await target.now()
            more = run.get("status") == "waiting" and not left
            execution.say(f"{target.name} is {state_of(run)}")
            if not more:
                return f"{names} {DECISIONS[decision]}: {target.name} is {state_of(run)}: {target.url}"
        raise NotVerified(f"{target.name} cannot be followed any more")

    return Step(title, act, happened, verify)


def _command(target: Target, chosen: Sequence[Json], decision: str, comment: str, place: Place) -> str:
    path = f"repos/{target.repository}/actions/runs/{target.id}/pending_deployments"
    fields = [word for each in chosen for word in ("--field", f"environment_ids[]={_id(each)}")]
    said = ["--raw-field", f"state={DECISIONS[decision]}", "--raw-field", f"comment={comment}"]
    return gh(place, target.repository, "api", "--method", "POST", path, *fields, *said)
