"""Moving a model version: the writes, each under what has to be so before it, and the look at the end.

MLflow has no precondition: two people who promote at the same time both succeed, and leave two versions in one stage.
So every write looks first whether the world is as the writes before it have left it, and after the last one it is
looked at once more: of any who move a version into a stage the last one sees all that are left there.
"""

import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from mlops_tui.domain.errors import Conflict, SourceError
from mlops_tui.domain.operation import Change
from mlops_tui.operations.base import Execution, NotVerified, Step
from mlops_tui.operations.journal import Record
from mlops_tui.operations.models import ARCHIVED, MARK, Serving, Target, or_none, stage_in_words, together

SETTLING: Final = 2.0
"""Seconds after which a write that nobody answered is looked for once more."""


@dataclass(frozen=True, slots=True)
class Moving:
    """What makes a version serve: the parts of a plan."""

    changes: tuple[Change, ...]
    steps: tuple[Step, ...]
    command: str
    idle: str


def make_serve(target: Target, title: str, *, archive: bool = True) -> Moving:
    """Return what it takes to make the target's version serve its environment, nothing that is so already.

    Args:
        archive: Whether versions that are in the stage are moved out of it.
    """
    version, serving = target.version, target.serving
    moves = Moves(target, title)
    changes, commands = [], []
    if target.stage and version not in serving.staged:
        moves.to_stage(version, target.stage)
        changes.append(Change(what=f"v{version}", before=stage_in_words(serving.stage), after=target.stage))
        commands.append(call("transition_model_version_stage", target.model, str(version), target.stage))
    for other in sorted(serving.staged - {version}, reverse=True) if archive else ():
        moves.to_stage(other, ARCHIVED)
        changes.append(Change(what=f"v{other}", before=target.stage, after=ARCHIVED))
        commands.append(call("transition_model_version_stage", target.model, str(other), ARCHIVED))
    if target.alias and serving.aliased != version:
        moves.point(version)
        before = f"v{serving.aliased}" if serving.aliased is not None else "none"
        changes.append(Change(what=f"alias {target.alias}", before=before, after=f"v{version}"))
        commands.append(call("set_registered_model_alias", target.model, target.alias, str(version)))
    if not changes:
        return Moving((), (), "", f"v{version} is approved for {target.environment} already: {target.names()}")
    moves.mark(serving)
    moves.look_again(f"{target.model} v{version} is approved for {target.environment}: {target.names()}")
    return Moving(tuple(changes), tuple(moves.steps), python(commands), "")


def python(commands: Iterable[str]) -> str:
    """Return calls of MLflow's client as what can be pasted into Python: its command line has none of them."""
    return "\n".join(("from mlflow import MlflowClient", *commands))


def call(method: str, *arguments: str) -> str:
    """Return a call of MLflow's client as Python."""
    return f"MlflowClient().{method}({', '.join(map(json.dumps, arguments))})"


class Moves:
    """A row of writes, each of which happens only if the world is as those before it have left it."""

    def __init__(self, target: Target, title: str) -> None:
        self.steps: list[Step] = []
        self._target = target
        self._title = title
        self._expected = target.serving

    def to_stage(self, version: int, stage: str) -> None:
        """Add moving a version to a stage."""
        target = self._target

        def after(serving: Serving) -> Serving:
            there = bool(target.stage) and stage == target.stage
            staged = serving.staged | {version} if there else serving.staged - {version}
            own = stage if version == target.version else serving.stage
            return replace(serving, staged=staged, stage=own)

        title = f"archive v{version}" if stage == ARCHIVED else f"move v{version} to {stage_in_words(stage)}"
        self._add(title, lambda: target.registry.set_stage(target.model, version, stage), after)

    def point(self, version: int) -> None:
        """Add pointing the environment's alias at the target's version."""
        target = self._target

        def after(serving: Serving) -> Serving:
            return replace(serving, aliased=version, aliases=tuple(sorted({*serving.aliases, target.alias})))

        write = target.registry.set_alias
        self._add(f"point {target.alias} at v{version}", lambda: write(target.model, target.alias, version), after)

    def drop_alias(self) -> None:
        """Add removing the environment's alias, which the target's version holds."""
        target = self._target

        def after(serving: Serving) -> Serving:
            return replace(serving, aliased=None, aliases=tuple(a for a in serving.aliases if a != target.alias))

        write = target.registry.delete_alias
        self._add(f"remove {target.alias} from v{target.version}", lambda: write(target.model, target.alias), after)

    def mark(self, before: Serving) -> None:
        """Add tags that tell who promoted the target's version, when, from where and in place of what.

        They are a courtesy to those who look with other tools: where they cannot be written it is said, no more.
        """
        target = self._target

        async def act(execution: Execution) -> None:
            replaced = "" if before.holder is None else str(before.holder)
            marks = {
                "by": execution.by,
                "from": stage_in_words(before.stage),
                "at": execution.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
                "operation": execution.operation,
                "to": target.environment,
                "over": replaced,
            }
            try:
                for name, value in marks.items():
                    await target.registry.set_tag(target.model, target.version, f"{MARK}{name}", value)
            except SourceError as error:
                execution.say(f"not marked: {error.message}")

        self.steps.append(Step(f"mark v{target.version} with who did it", act))

    def look_again(self, outcome: str) -> None:
        """Add the look that finds whoever did the same at the same time; nobody can ask to do without.

        Args:
            outcome: What is so if nobody did, as a sentence.
        """
        target = self._target

        async def act(execution: Execution) -> None:
            now = await target.look()
            if now != self._expected:
                raise NotVerified(self._difference(now), "decide which is to stay, and plan it again")

        async def verify(execution: Execution) -> str:
            return outcome

        self.steps.append(Step("look again", act, verify=verify))

    def _add(self, title: str, write: Callable[[], Awaitable[None]], after: Callable[[Serving], Serving]) -> None:
        target = self._target

        async def act(execution: Execution) -> None:
            now = await target.look()
            if now != self._expected:
                raise Conflict(f"{self._title}: {self._difference(now)}", "plan it again")
            await write()
            self._expected = after(self._expected)

        async def happened() -> bool:
            for pause in (0.0, SETTLING):
                if pause:
                    await target.clock.sleep(pause)
                now = await target.look()
                if after(now) == now:
                    self._expected = after(self._expected)
                    return True
            return False

        self.steps.append(Step(title, act, happened))

    def _difference(self, now: Serving) -> str:
        """Say what is not as expected."""
        target, expected = self._target, self._expected
        said = []
        if now.staged != expected.staged:
            if len(now.staged) > 1:
                said.append(f"{together(now.staged)} in {target.stage}: someone else promoted at the same time")
            else:
                said.append(f"{target.stage} is {or_none(now.staged)} now, not {or_none(expected.staged)}")
        if now.aliased != expected.aliased:
            holders = [or_none({version} - {None}) for version in (now.aliased, expected.aliased)]
            said.append(f"{target.alias} is {holders[0]} now, not {holders[1]}")
        if not said and now.stage != expected.stage:
            said.append(f"v{target.version} is in {now.stage} now, not in {expected.stage}")
        if not said:
            said.append(f"the aliases of v{target.version} are {', '.join(now.aliases) or 'none'} now")
        return "; ".join(said)


def serves(record: Record, serving: Serving) -> bool | None:
    """Say whether what a record tells of has happened, by what serves now; `None` where a part of it has."""
    version = int(record.facts["version"])
    stage, alias = record.facts["stage"], record.facts["alias"]
    alone = serving.staged == {version} if record.facts["archive"] == "yes" else version in serving.staged
    if (not stage or alone) and (not alias or serving.aliased == version):
        return True
    untouched = (not stage or version not in serving.staged) and (not alias or serving.aliased != version)
    return False if untouched else None


def facts_of(target: Target, *, archive: bool) -> dict[str, str]:
    """Return what the journal keeps of a version that is made to serve."""
    serving, body = target.serving, target.body or {}
    return {
        "model": target.model,
        "version": str(target.version),
        "from": "" if serving.holder is None else str(serving.holder),
        "stage": target.stage,
        "alias": target.alias,
        "archive": "yes" if archive else "no",
        "run": str(body.get("run_id", "")),
    }
