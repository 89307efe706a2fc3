"""What the tools of a pipeline write when nobody says what they wrote.

Nothing here knows a step's outcome before the step has it: `progress` is true of any, `success` and `failure` come with
the end.
"""

import dataclasses
import functools
import re
from dataclasses import dataclass
from typing import Final

_ACTION: Final = re.compile(r"(?:Run )?([\w.-]+/[\w./-]+@[\w.-]+)")


@dataclass(frozen=True, slots=True)
class Tool:
    """A step's text, in which `{repo}`, `{sha}` and `{number}`, from the job's id, are filled in.

    Attributes:
        command: What the workflow file runs; empty for an action.
        pace: Seconds between two lines of progress.
        action: The action's name with its version.
    """

    command: str = ""
    progress: tuple[str, ...] = ()
    success: tuple[str, ...] = ()
    failure: tuple[str, ...] = ()
    pace: float = 0.4
    action: str = ""


@functools.lru_cache(maxsize=256)
def tool_of(step: str) -> Tool:
    """Return what a step with this name runs."""
    tool = next((known for pattern, known in _TOOLS if re.search(pattern, step, re.IGNORECASE)), None)
    if tool is None:
        command = re.sub(r"[^a-z0-9]+", "-", step.lower().removeprefix("run ")).strip("-")
        tool = Tool(f"make {command}", failure=(f"make: *** [Makefile:24: {command}] Error 1",))
    match = _ACTION.fullmatch(step)
    return dataclasses.replace(tool, command="", action=match[1]) if match else tool


_TOOLS: Final = (
    (
        r"\bcheckout",
        Tool(
            action="actions/checkout@v4",
            progress=(
                "Syncing repository: {repo}",
                "##[group]Fetching the repository",
                "[command]/usr/bin/git -c protocol.version=2 fetch --no-tags --prune --depth=1 origin +{sha}",
                "##[endgroup]",
            ),
            success=("[command]/usr/bin/git log -1 --format=%H", "{sha}"),
            failure=("fatal: unable to access the repository: the remote end hung up unexpectedly",),
        ),
    ),
    (
        r"setup-python|set up python",
        Tool(
            action="actions/setup-python@v5",
            progress=("##[group]Installed versions",),
            success=("Successfully set up CPython (3.11.14)", "##[endgroup]"),
            failure=("##[endgroup]", "Version 3.11 was not found in the local cache and could not be downloaded"),
        ),
    ),
    (
        r"\bruff|\blint|\bformat",
        Tool(
            "ruff check . && ruff format --check .",
            success=("All checks passed!", "{number} files already formatted"),
            failure=("I001 [*] Import block is un-sorted or un-formatted", "Found 1 error.", "[*] 1 fixable"),
        ),
    ),
    (
        r"\bmypy|type check",
        Tool(
            "mypy --strict src",
            success=("Success: no issues found in {number} source files",),
            failure=(
                "src/model/train.py:88: error: Incompatible return value type  [return-value]",
                "Found 1 error in 1 file",
            ),
        ),
    ),
    (
        r"^install|pip install|dependencies",
        Tool(
            "pip install -r requirements.txt",
            progress=("Collecting numpy", "Collecting torch", "Collecting mlflow", "Installing collected packages"),
            success=("Successfully installed the requirements",),
            failure=("ERROR: Could not install packages due to an OSError: HTTPSConnectionPool: Read timed out.",),
        ),
    ),
    (
        r"integration test",
        Tool(
            "pytest tests/integration",
            progress=("============================= test session starts ==============================",),
            success=("======================== {number} passed in 31.07s ========================",),
            failure=("=================== 1 failed in 31.07s ===================",),
        ),
    ),
    (
        r"pytest|unit test",
        Tool(
            "pytest --cov=src --cov-report=xml --cov-fail-under=80",
            progress=(
                "============================= test session starts ==============================",
                "platform linux -- Python 3.11.14, pytest-8.4.2, pluggy-1.6.0",
                "tests/test_features.py ...................................",
                "tests/test_network.py ....................................",
            ),
            success=(
                "Coverage XML written to file coverage.xml",
                "============================= {number} passed in 64.20s ==============================",
            ),
            failure=(
                "=========================== short test summary info ============================",
                "FAILED tests/test_network.py::test_forward - AssertionError: outputs differ",
                "======================== 1 failed, {number} passed in 64.20s =========================",
            ),
        ),
    ),
    (
        r"dvc",
        Tool(
            "dvc pull --run-cache",
            progress=("Collecting", "Fetching"),
            success=("{number} files fetched",),
            failure=("ERROR: failed to pull data from the cloud - checkout failed",),
        ),
    ),
    (
        r"schema|drift|validate",
        Tool(
            "python -m src.data.validate",
            progress=("Reading data/schema.yaml",),
            success=("Data validation passed",),
            failure=("Data validation failed",),
        ),
    ),
    (
        r"\btrain",
        Tool(
            "python -m src.model.train",
            progress=("Loading the data set", *(f"epoch {epoch}" for epoch in range(1, 9))),
            success=("Training finished", "Model written to outputs/model.pt"),
            failure=("Traceback (most recent call last):", "RuntimeError: training stopped before its last epoch"),
            pace=4.0,
        ),
    ),
    (
        r"evaluat|metric",
        Tool(
            "python -m src.model.evaluate",
            progress=("Evaluating on the held-out data",),
            success=("All metrics are above their thresholds",),
            failure=("A metric is below its threshold",),
        ),
    ),
    (
        r"upload",
        Tool(
            action="actions/upload-artifact@v4",
            progress=("With the provided path, the files to upload were looked up",),
            success=("Artifact has been uploaded",),
            failure=("Failed to CreateArtifact: unable to make request",),
        ),
    ),
    (
        r"build|push image|docker",
        Tool(
            "docker buildx build --push .",
            progress=("#1 [internal] load build definition from Dockerfile", "#5 [2/4] COPY requirements.txt ."),
            success=("#9 pushing manifest done",),
            failure=("ERROR: failed to build: failed to solve: process did not complete successfully",),
        ),
    ),
    (
        r"register|promote",
        Tool(
            "python -m src.registry",
            progress=("Connecting to the model registry",),
            success=("The model registry is up to date",),
            failure=("mlflow.exceptions.MlflowException: the request to the model registry failed",),
        ),
    ),
    (
        r"rollout status",
        Tool(
            "kubectl rollout status",
            progress=("Waiting for deployment rollout to finish: old replicas are pending termination...",),
            success=("deployment successfully rolled out",),
            failure=("error: deployment exceeded its progress deadline",),
        ),
    ),
    (
        r"rollout undo|roll back",
        Tool(
            "kubectl rollout undo",
            success=("deployment rolled back",),
            failure=("error: no rollout history found for the deployment",),
        ),
    ),
    (
        r"^apply|^scale|deploy",
        Tool(
            "kubectl apply -f k8s/",
            success=("deployment.apps configured",),
            failure=("Error from server (Conflict): the object has been modified; please apply your changes again",),
        ),
    ),
    (
        r"load test|p95|canary|prometheus",
        Tool(
            "python -m src.ops.measure",
            progress=("Measuring",),
            success=("All figures are within their limits",),
            failure=("A figure is beyond its limit",),
        ),
    ),
    (r"^wait", Tool("sleep 300")),
)
