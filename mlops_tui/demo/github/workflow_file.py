"""The text of a workflow file, as it follows from what the workflow does."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Final

from mlops_tui.demo.github.model import JobPlan, Workflow, WorkflowInput

_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./@ ()-]*(?<! )")
_WORDS: Final = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n", "~"))
_USES: Final = re.compile(r"Run (\S+/\S+@\S+)")
_INDENT: Final = "  "


def workflow_text(workflow: Workflow, others: Sequence[Workflow]) -> str:
    """Return the YAML of a workflow.

    Args:
        others: The workflows of the repository in their order: a `workflow_run` waits for the one before.
    """
    lines = [f"name: {_scalar(workflow.name)}"]
    if workflow.run_name:
        lines.append(f"run-name: {json.dumps(workflow.run_name)}")
    lines += ["", "on:", *_indented(_triggers(workflow, others)), "", "jobs:"]
    for plan in workflow.jobs:
        lines += [f"{_INDENT}{job_id(plan.name)}:", *_indented(_job(plan), 2)]
    return "\n".join(lines if workflow.jobs else (*lines[:-1], "jobs: {}")) + "\n"


def job_id(name: str) -> str:
    """Return the key of a job in the file: its name without what a key may not have."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-") or "job"


def _triggers(workflow: Workflow, others: Sequence[Workflow]) -> list[str]:
    lines = []
    for event in dict.fromkeys((*workflow.on, *(["workflow_dispatch"] if workflow.jobs else []))):
        lines.append(f"{event}:")
        if event == "push":
            lines.append(f"{_INDENT}branches: [main]")
        elif event == "workflow_run":
            place = others.index(workflow) if workflow in others else 0
            before = others[place - 1].name if others else workflow.name
            lines += [f"{_INDENT}workflows: [{json.dumps(before)}]", f"{_INDENT}types: [completed]"]
        elif event == "schedule":
            lines.append(f'{_INDENT}- cron: "0 2 * * *"')
        elif event == "workflow_dispatch" and workflow.inputs:
            lines.append(f"{_INDENT}inputs:")
            for entry in workflow.inputs:
                lines += _indented(_input(entry), 2)
    return lines


def _input(entry: WorkflowInput) -> list[str]:
    lines = [f"type: {entry.type}", f"required: {json.dumps(entry.required)}"]
    if entry.default:
        lines.append(f"default: {_scalar(entry.default)}")
    if entry.options:
        lines.append(f"options: {json.dumps(list(entry.options))}")
    return [f"{entry.name}:", *_indented(lines)]


def _job(plan: JobPlan) -> list[str]:
    labels = ", ".join(_scalar(label) for label in plan.labels)
    lines = [f"name: {_scalar(plan.name)}"] if job_id(plan.name) != plan.name else []
    lines.append(f"runs-on: [{labels}]" if len(plan.labels) > 1 else f"runs-on: {labels}")
    if plan.needs:
        lines.append(f"needs: [{', '.join(job_id(name) for name in plan.needs)}]")
    if plan.environment:
        lines.append(f"environment: {_scalar(plan.environment)}")
    lines.append("steps:")
    for step in plan.steps:
        lines += _indented(_step(step))
    return lines


def _step(name: str) -> list[str]:
    if used := _USES.fullmatch(name):
        return [f"- uses: {used[1]}"]
    target = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "step"
    return [f"- name: {_scalar(name)}", f"{_INDENT}run: make {target}"]


def _scalar(text: str) -> str:
    # A text in JSON's quotes is one in YAML, too.
    return text if _PLAIN.fullmatch(text) and text.lower() not in _WORDS else json.dumps(text)


def _indented(lines: Iterable[str], times: int = 1) -> list[str]:
    return [_INDENT * times + line for line in lines]
