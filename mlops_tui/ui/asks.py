"""From a row and a key to the request for a plan: what fits the row, what it is called, what forbids it. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlops_tui.config.keymap import ACTIONS, PANES, Action

if TYPE_CHECKING:
    from mlops_tui.domain.operation import Plan, PlanRequest
    from mlops_tui.domain.rows import Row
    from mlops_tui.domain.state import SourceState

_WHOLE_CLUSTER = "all namespaces"
_PATCH = ("patch deployments",)
_ACTIONS = ("actions: write",)
_PULLS = ("pull requests: write", "issues: write")
_MODELS = ("write models", "edit models")


@dataclass(frozen=True, slots=True)
class Ask:
    """What an action asks an engine for.

    Attributes:
        verb: The operation's name.
        needs: Permissions, any of which is enough, by the names that the sources give them.
        parameters: What is known before anybody is asked.
    """

    verb: str
    needs: tuple[str, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)


ASKS: Mapping[str, Ask] = {
    "scale": Ask("scale", ("update deployments/scale", "patch deployments/scale")),
    "rollback": Ask("rollback", _PATCH),
    "restart": Ask("restart", _PATCH),
    "pause": Ask("pause", _PATCH),
    "resume": Ask("resume", _PATCH),
    # What moves traffic is not known before the cluster has been looked at.
    "traffic": Ask("traffic"),
    "rollback-release": Ask("rollback-release", _PATCH),
    "promote": Ask("promote", _MODELS),
    "restore": Ask("restore", _MODELS),
    "archive": Ask("archive", _MODELS),
    "comment": Ask("comment", _PULLS),
    "tick": Ask("tick", _PULLS),
    "checklist": Ask("checklist", _PULLS),
    "review": Ask("review", _PULLS[:1]),
    "approve": Ask("approve", _ACTIONS),
    "reject": Ask("approve", _ACTIONS, {"decision": "reject"}),
    "rerun": Ask("rerun", _ACTIONS, {"what": "all"}),
    "rerun-failed": Ask("rerun", _ACTIONS, {"what": "failed"}),
    "rerun-job": Ask("rerun", _ACTIONS, {"what": "job"}),
    "cancel": Ask("cancel", _ACTIONS),
    "dispatch": Ask("dispatch", _ACTIONS),
}
"""By the name in an action's command."""


def ask_name(action: Action) -> str:
    """Return the key into `ASKS` of an action that opens a plan; empty for any other."""
    return action.command.removeprefix("operate('").removesuffix("')") if action.command.startswith("operate(") else ""


def asks_for(row: "Row") -> Iterator[Action]:
    """Yield the actions that make sense for a row as it is, what needs somebody first."""
    place = PANES.get(row.kind)
    found = {ask_name(action): action for action in ACTIONS if action.place is place and ask_name(action)}
    state: Any = row
    match row.kind:
        case "run":
            yield from (found[name] for name in _run_asks(state))
        case "rollout":
            hidden = "pause" if state.paused else "resume"
            yield from (action for name, action in found.items() if name != hidden)
        case "version":
            yield from (action for name, action in found.items() if name != "archive" or state.stage != "Archived")
        case "pull":
            yield from (action for name, action in found.items() if name != "tick" or state.checklist)


def _run_asks(row: Any) -> Iterable[str]:
    if row.status != "completed":
        return (*(("approve", "reject") if row.waiting_for or row.status == "waiting" else ()), "cancel", "dispatch")
    again = ("rerun", "rerun-job", "dispatch")
    return again if row.conclusion == "success" else ("rerun-failed", *again)


def request_for(name: str, row: "Row") -> "PlanRequest":
    """Return the request that an action makes of a row: the target is named here, once and for all."""
    from mlops_tui.domain.operation import PlanRequest

    ask, one = ASKS[name], row
    state: Any = one
    environment = ""
    match row.kind:
        case "rollout":
            target, environment = f"{state.namespace}/{state.name}", state.environment
        case "version":
            target = f"{state.model}@{state.version}" if ask.verb != "restore" else state.model
        case "pull":
            target = f"{state.repository}#{state.number}"
        case "run":
            target = f"{state.repository}/runs/{state.run_id}"
        case _:
            raise ValueError(f"nothing can be done with a row of kind {row.kind}")
    return PlanRequest(
        verb=ask.verb, target=target, environment=environment, parameters=dict(ask.parameters), row=row.key
    )


def forbidden(name: str, row: "Row", source: "SourceState | None") -> str:
    """Return why the credentials may not do this, with what to do about it; empty where nothing is known against it."""
    needs = ASKS[name].needs
    if source is None or not needs:
        return ""
    known = [
        permission
        for permission in source.permissions
        if not permission.to_read and permission.name in needs and _covers(permission.scope, row)
    ]
    if not known or any(permission.allowed is not False for permission in known):
        return ""
    first = known[0]
    where = f" in {first.scope}" if first.scope else ""
    return f"not permitted: {first.name}{where}" + (f". {first.hint}" if first.hint else "")


def _covers(scope: str, row: "Row") -> bool:
    state: Any = row
    mine = (getattr(state, "repository", ""), f"namespace {getattr(state, 'namespace', '')}", _WHOLE_CLUSTER)
    return not scope or scope in mine


def read_only_environment(plan: "Plan") -> bool:
    """Whether a plan was refused since its environment is one in which nothing is changed."""
    return any(refusal.text == f"{plan.environment} is read-only" for refusal in plan.refusals if plan.environment)


def differences(before: "Plan", after: "Plan") -> str:
    """Return what a new plan says that the old one did not, in a few words; empty where they say the same."""
    said: list[str] = []
    old = {change.what: change for change in before.changes}
    new = {change.what: change for change in after.changes}
    for what, change in new.items():
        known = old.get(what)
        if known is None:
            said.append(f"{what}: {change.before} → {change.after}")
        elif known.before != change.before:
            said.append(f"{what} was {known.before}, is {change.before}")
        elif known.after != change.after:
            said.append(f"{what} would be {change.after}, not {known.after}")
    said.extend(f"{what} would not change any more" for what in old.keys() - new.keys())
    gates = {gate.name: gate for gate in before.gates}
    said.extend(
        f"{gate.name}: {gate.evidence}" for gate in after.gates if gate.name not in gates or gates[gate.name] != gate
    )
    said.extend(f"{name} is no gate any more" for name in gates.keys() - {gate.name for gate in after.gates})
    said.extend(refusal.text for refusal in after.refusals if refusal not in before.refusals)
    said.extend(f"not any more: {refusal.text}" for refusal in before.refusals if refusal not in after.refusals)
    if before.idle != after.idle:
        said.append(after.idle or "there is something to do again")
    if before.demand != after.demand:
        said.extend(because for because in after.demand.because if because not in before.demand.because)
        said = said or ["another confirmation is asked for"]
    return "; ".join(said)
