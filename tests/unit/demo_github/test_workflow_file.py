"""The text of workflow files."""

from datetime import UTC, datetime

import pytest
import yaml

from mlops_tui.demo.github import JobPlan
from mlops_tui.demo.github.model import Workflow, WorkflowInput
from mlops_tui.demo.github.workflow_file import workflow_text


def _workflow(
    name: str, *jobs: JobPlan, on: tuple[str, ...] = ("push",), inputs: tuple[WorkflowInput, ...] = ()
) -> Workflow:
    return Workflow(
        id=1,
        name=name,
        path=".github/workflows/x.yml",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        jobs=jobs,
        inputs=inputs,
        run_name="",
        node_id="W_1",
        on=on,
    )


def test_a_file_says_when_what_runs_in_which_order_where() -> None:
    first = _workflow("CI")
    jobs = (
        JobPlan("train", ("Run actions/checkout@v4", "Train: epochs = 5 # fast"), ("self-hosted", "gpu")),
        JobPlan("Deploy to production", ("Apply",), environment="production", needs=("train",)),
    )
    inputs = (WorkflowInput("version", required=True), WorkflowInput("stage", False, "on", "choice", ("on", "off")))
    workflow = _workflow("CD", *jobs, on=("workflow_run", "schedule"), inputs=inputs)
    assert yaml.load(workflow_text(workflow, (first, workflow)), yaml.BaseLoader) == {
        "name": "CD",
        "on": {
            "workflow_run": {"workflows": ["CI"], "types": ["completed"]},
            "schedule": [{"cron": "0 2 * * *"}],
            "workflow_dispatch": {
                "inputs": {
                    "version": {"type": "string", "required": "true"},
                    "stage": {"type": "choice", "required": "false", "default": "on", "options": ["on", "off"]},
                }
            },
        },
        "jobs": {
            "train": {
                "runs-on": ["self-hosted", "gpu"],
                "steps": [
                    {"uses": "actions/checkout@v4"},
                    {"name": "Train: epochs = 5 # fast", "run": "make train-epochs-5-fast"},
                ],
            },
            "Deploy-to-production": {
                "name": "Deploy to production",
                "runs-on": "ubuntu-latest",
                "needs": ["train"],
                "environment": "production",
                "steps": [{"name": "Apply", "run": "make apply"}],
            },
        },
    }


def test_a_workflow_without_jobs_is_a_file_too() -> None:
    assert yaml.safe_load(workflow_text(_workflow("Empty"), ())) == {
        "name": "Empty",
        True: {"push": {"branches": ["main"]}},
        "jobs": {},
    }


@pytest.mark.parametrize("name", ["true", "- [x]", "a: b", "'", '"', "#", "5", "", "ünï", "a b ", "{}", "line\nbreak"])
def test_any_name_stays_what_it_is(name: str) -> None:
    text = yaml.safe_load(workflow_text(_workflow(name, JobPlan(name, (name,))), ()))
    assert text["name"] == name
    (job,) = text["jobs"].values()
    assert job["steps"][0]["name"] == name
