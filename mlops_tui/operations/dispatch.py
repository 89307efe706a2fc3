"""`dispatch`: a workflow is started by hand, with its inputs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mlops_tui.domain.base import RowKind
from mlops_tui.domain.errors import ConfigError
from mlops_tui.domain.operation import Change, Concern, FieldKind, PlanField, PlanRequest
from mlops_tui.operations.base import Draft, Execution, NotVerified, Parameter, Place, Step, Verb
from mlops_tui.operations.journal import Record
from mlops_tui.operations.repositories import asked_environment, full_name, gh, look, not_permitted, poll, read_only
from mlops_tui.operations.runs import ADDRESS, NEEDS, state_of
from mlops_tui.operations.systems import ForgeSystem, Json

EVENT: Final = "workflow_dispatch"
_ADDRESS: Final = re.compile(r"(?:([\w.-]+)/)?([\w.-]+)/workflows/([\w. -]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Target:
    forge: ForgeSystem
    repository: str
    login: str
    workflow: Json
    ref: str

    @property
    def name(self) -> str:
        return str(self.workflow.get("name") or self.workflow["path"])

    @property
    def file(self) -> str:
        """What addresses it: its file's name, which people know, or its number."""
        name = str(self.workflow["path"]).rpartition("/")[2]
        return name if name.endswith((".yml", ".yaml")) else str(self.workflow["id"])

    async def newest(self) -> list[Json]:
        """Return the newest runs of the workflow that were started by hand, by us where that is known."""
        query = {"event": EVENT, **({"actor": self.login} if self.login else {})}
        found = await self.forge.runs(self.repository, query)
        return [run for run in found if run.get("workflow_id") == self.workflow["id"]]


class Dispatch(Verb):
    """Starts a workflow that can be started by hand."""

    name = "dispatch"
    kind = RowKind.RUN
    target = "OWNER/NAME/workflows/FILE, or OWNER/NAME/runs/ID for the workflow of a run"
    summary = "Start a workflow by hand"
    parameters = (
        Parameter("ref", "the branch or tag; the run's, or the default branch, if not given"),
        Parameter("inputs", "the inputs, a line KEY=VALUE each", FieldKind.BLOCK),
    )

    async def plan(self, request: PlanRequest, place: Place) -> Draft:
        target = await _find(request, place, self.parameter(request, "ref"))
        declared = target.workflow.get("inputs", {})
        given = _read(request, request.parameters.get("inputs"), declared or {})
        text = "\n".join(f"{name}={value}" for name, value in given.items())
        runs = await target.newest()
        newest = max((int(run["id"]) for run in runs), default=0)
        sent = {name: value for name, value in given.items() if value or name not in (declared or {})}
        help_ = "; ".join(_said(name, said) for name, said in (declared or {}).items())
        return Draft(
            title=f"Start {target.name} of {target.repository} on {target.ref}",
            name=f"{target.repository}/workflows/{target.file}",
            environment=asked_environment(request, place),
            fields=(
                PlanField(name="ref", label="Branch or tag", kind=FieldKind.LINE, value=target.ref),
                PlanField(
                    name="inputs", label=f"Inputs: {help_}" if help_ else "Inputs", kind=FieldKind.BLOCK, value=text
                ),
            ),
            changes=(
                Change(what="run", before="none", after=f"a new one on {target.ref}"),
                *(Change(what=name, before=_default(declared, name), after=value) for name, value in sent.items()),
            ),
            warnings=() if "inputs" in target.workflow else (UNREAD,),
            refusals=(
                *await not_permitted(target.forge, target.repository, NEEDS),
                *read_only(target.repository, place),
                *_impossible(target),
                *(_wrong(given, declared or {}) if "inputs" in target.workflow else ()),
            ),
            steps=(_step(target, sent, newest, place),),
            command=_command(target, sent, place),
            patience=120.0,
            facts={"newest": str(newest), "ref": target.ref},
        )

    async def happened(self, record: Record, place: Place) -> bool | None:
        target = await _find(record.request, place, record.facts.get("ref", ""))
        newest = int(record.facts.get("newest", "0"))
        return any(int(run["id"]) > newest for run in await target.newest()) or None


UNREAD = Concern(text="the workflow's file cannot be read: its inputs are not known", hint="GitHub checks them")


async def _find(request: PlanRequest, place: Place, ref: str) -> _Target:
    """Return the workflow that a request names, or that the run belongs to that it names."""
    forge = place.systems.forge()
    if address := _ADDRESS.fullmatch(request.target):
        repository, workflow = full_name(request, place, address[1], address[2]), address[3]
    elif address := ADDRESS.fullmatch(request.target):
        repository = full_name(request, place, address[1], address[2])
        run = await forge.run(repository, int(address[3]))
        workflow, ref = str(run["workflow_id"]), ref or str(run.get("head_branch") or "")
    else:
        raise ConfigError(
            f"dispatch {request.target}: the target is OWNER/NAME/workflows/FILE", "such as acme/fraud/workflows/cd.yml"
        )
    if not ref:
        ref = str((await forge.repository(repository)).get("default_branch") or "main")
    return _Target(forge, repository, await forge.identity(), await forge.workflow(repository, workflow, ref), ref)


def _read(request: PlanRequest, text: str | None, declared: Mapping[str, Json]) -> dict[str, str]:
    """Return the inputs that are given, or the declared ones with their defaults. Raises `ConfigError`."""
    if text is None or not text.strip():
        return {name: str(said["default"]) for name, said in declared.items()}
    given = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        name, equals, value = line.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"dispatch {request.target}: {line} is no input", "write KEY=VALUE, a line each")
        given[name.strip()] = value.strip()
    return given


def _wrong(given: Mapping[str, str], declared: Mapping[str, Json]) -> tuple[Concern, ...]:
    """Return what GitHub would not take of the inputs."""
    found = []
    for name, value in given.items():
        said = declared.get(name)
        if said is None:
            known = f"there are: {', '.join(declared)}" if declared else "it takes none"
            found.append(Concern(text=f"the workflow has no input {name}", hint=known))
        elif value and said["type"] == "boolean" and value not in ("true", "false"):
            found.append(Concern(text=f"{name} is {value}", hint="true or false"))
        elif value and said["options"] and value not in said["options"]:
            found.append(Concern(text=f"{name} is {value}", hint=f"one of: {', '.join(said['options'])}"))
    for name, said in declared.items():
        if said["required"] and not given.get(name) and not said["default"]:
            found.append(Concern(text=f"the input {name} is needed", hint=said["description"]))
    return tuple(found)


def _impossible(target: _Target) -> tuple[Concern, ...]:
    found = []
    if str(target.workflow.get("state") or "active") != "active":
        found.append(
            Concern(text=f"the workflow is {target.workflow['state'].replace('_', ' ')}", hint="enable it first")
        )
    if target.workflow.get("inputs", {}) is None:
        hint = f"add {EVENT} to its triggers"
        found.append(Concern(text=f"{target.file} on {target.ref} cannot be started by hand", hint=hint))
    return tuple(found)


def _said(name: str, said: Json) -> str:
    """Return an input as a person reads it: `environment (staging|production), needed: where to`."""
    kind = "|".join(said["options"]) or (said["type"] if said["type"] != "string" else "")
    parts = [name, f" ({kind})" if kind else "", ", needed" if said["required"] else ""]
    return "".join([*parts, f": {said['description']}" if said["description"] else ""])


def _default(declared: Mapping[str, Json] | None, name: str) -> str:
    return str(((declared or {}).get(name) or {}).get("default") or "")


def _step(target: _Target, inputs: Mapping[str, str], planned: int, place: Place) -> Step:
    title = f"start {target.name} on {target.ref}"
    newest = [planned]

    async def act(execution: Execution) -> None:
        # Looked up again, so that a run that somebody started since the plan is not taken for ours.
        newest.append(max((int(run["id"]) for run in await target.newest()), default=0))
        await target.forge.dispatch(target.repository, target.file, target.ref, inputs)

    async def started() -> Json | None:
        """Return the run that there was not before: ids only grow."""
        fresh = [run for run in await target.newest() if int(run["id"]) > newest[-1]]
        fitting = [run for run in fresh if run.get("head_branch") == _short(target.ref)]
        return min(fitting, key=lambda run: int(run["id"]), default=None)

    async def seen() -> bool | None:
        return True if await started() else None

    async def happened() -> bool | None:
        return await look(place.clock, seen)

    async def verify(execution: Execution) -> str:
        async for run in poll(execution, started):
            if run is None:
                execution.say("GitHub has not made the run yet")
                continue
            return (
                f"{run.get('name') or target.name} #{run['run_number']} is {state_of(run)}: {run.get('html_url', '')}"
            )
        raise NotVerified(f"the run of {target.name} cannot be found")

    return Step(title, act, happened, verify)


def _short(ref: str) -> str:
    return ref.removeprefix("refs/").removeprefix("heads/").removeprefix("tags/")


def _command(target: _Target, inputs: Mapping[str, str], place: Place) -> str:
    fields = [word for name, value in inputs.items() for word in ("--raw-field", f"{name}={value}")]
    return gh(place, target.repository, "workflow", "run", target.file, "--ref", target.ref, *fields)
