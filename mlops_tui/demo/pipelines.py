"""The workflows of the world's repositories, job by job, and the texts that they leave on pull requests."""

from dataclasses import dataclass, replace
from typing import Final

from mlops_tui.demo.github import JobPlan
from mlops_tui.demo.story import Model

CHECKOUT: Final = "Run actions/checkout@v4"
PYTHON: Final = "Run actions/setup-python@v5"


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A workflow file.

    Attributes:
        stages: The jobs in the order that `needs` gives them; those of one stage run side by side.
        on: The events that start it; it can be dispatched as well.
    """

    name: str
    path: str
    stages: tuple[tuple[JobPlan, ...], ...]
    on: tuple[str, ...] = ("workflow_dispatch",)

    @property
    def jobs(self) -> tuple[JobPlan, ...]:
        return tuple(job for stage in self.stages for job in stage)

    def only(self, job: str) -> "Pipeline":
        """Return the pipeline with one of its jobs, which needs no other."""
        plan = next(plan for plan in self.jobs if plan.name == job)
        return replace(self, stages=((replace(plan, needs=()),),))


def _pipeline(name: str, file: str, on: tuple[str, ...], *stages: tuple[JobPlan, ...]) -> Pipeline:
    """Return a pipeline each of whose jobs needs those of the stage before its own."""
    made: list[tuple[JobPlan, ...]] = []
    for stage in stages:
        needs = tuple(job.name for job in made[-1]) if made else ()
        made.append(tuple(replace(job, needs=needs) for job in stage))
    return Pipeline(name, f".github/workflows/{file}", tuple(made), on)


CI: Final = _pipeline(
    "ML CI Pipeline",
    "ml-ci.yml",
    ("push", "pull_request", "schedule"),
    (JobPlan("lint-and-format", (CHECKOUT, PYTHON, "Ruff", "Mypy")),),
    (
        JobPlan("unit-tests", (CHECKOUT, PYTHON, "Install", "Pytest with coverage", "Upload coverage")),
        JobPlan("data-validation", (CHECKOUT, PYTHON, "DVC pull", "Validate schema and drift")),
    ),
    (JobPlan("model-training-test", (CHECKOUT, "DVC pull", "Train on sample", "Evaluate", "Upload diagnostics")),),
)
CD: Final = _pipeline(
    "ML CD Pipeline",
    "ml-cd.yml",
    ("workflow_run", "workflow_dispatch", "repository_dispatch"),
    (
        JobPlan(
            "full-training",
            (CHECKOUT, "DVC pull", "Train", "Evaluate", "Register model", "Build and push image"),
            ("self-hosted", "gpu"),
        ),
    ),
    (JobPlan("staging-deployment", (CHECKOUT, "Apply", "Rollout status", "Integration tests"), environment="staging"),),
    (JobPlan("performance-tests", (CHECKOUT, "Load test", "Check p95 < 500 ms")),),
    (
        JobPlan(
            "production-deployment",
            (CHECKOUT, "Promote model", "Apply", "Rollout status", "Canary check", "Scale"),
            environment="production",
        ),
    ),
)
ROLLBACK: Final = _pipeline(
    "Auto Rollback on Failure",
    "auto-rollback.yml",
    ("workflow_run",),
    (JobPlan("rollback", ("Wait 5 minutes", "Query Prometheus", "Rollout undo", "Rollout status", "Notify Slack")),),
)
QUALITY: Final = _pipeline(
    "PR Quality Checks",
    "pr-quality.yml",
    ("pull_request",),
    (JobPlan("pr-checklist", (CHECKOUT, "Changed files", "Post checklist")),),
)
PIPELINES: Final = (CI, CD, ROLLBACK, QUALITY)

MODEL_ITEMS: Final = ("Model performance validated", "Backward compatibility checked", "Model size acceptable")
DATA_ITEMS: Final = ("Data quality validated", "DVC push completed", "Data documentation updated")
GENERAL_ITEMS: Final = ("Tests pass locally", "Code review completed")


def changed_files(model: Model, *, touches_data: bool) -> tuple[str, ...]:
    """Return the paths that a change of the model touches."""
    files = ("src/model/network.py", "src/model/train.py", "tests/test_network.py")
    return (*files, f"data/{model.image_name}.dvc") if touches_data else files


def checklist(files: tuple[str, ...]) -> str:
    """Return the comment that `PR Quality Checks` posts for these changed files, nothing ticked."""
    lines = ["## PR Checklist", ""]
    if any(file.startswith(("src/model", "models/")) for file in files):
        lines += ["### Model changes", *_items(MODEL_ITEMS), ""]
    if any(file.endswith(".dvc") for file in files):
        lines += ["### Data changes", *_items(DATA_ITEMS), ""]
    lines += ["### General", *_items(GENERAL_ITEMS)]
    return "\n".join(lines)


def _items(texts: tuple[str, ...]) -> list[str]:
    return [f"- [ ] {text}" for text in texts]


def open_items(text: str) -> int:
    """Return how many items of a task list are not ticked."""
    return text.count("- [ ] ")


def tick(text: str, index: int = 0) -> str:
    """Return a task list with its open item number `index` ticked."""
    parts = text.split("- [ ] ")
    return "- [ ] ".join(parts[: index + 1]) + "- [x] " + "- [ ] ".join(parts[index + 1 :])


def tick_some(text: str, count: int) -> str:
    """Return a task list with its first `count` open items ticked."""
    for _ in range(min(count, open_items(text))):
        text = tick(text)
    return text


def description(model: Model, subject: str) -> str:
    """Return the body of a pull request."""
    return f"{subject}.\n\nMoves `{model.metric}` of **{model.name}**; see the training run for the figures."
