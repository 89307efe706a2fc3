"""What the steps of the pipelines print beyond what their tools always print, and the files that they leave behind."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from mlops_tui.demo.story import Model, digest

COVERAGE_STEP: Final = "Upload coverage"
_LINES_OF_CODE: Final = 2140


def usual_lines(step: str, commit: str) -> tuple[str, ...]:
    """Return the figures that a step of CI prints for a commit when all is well; most steps have none."""
    number = int(digest("figures", commit)[:6], 16)
    if step == "Pytest with coverage":
        percent = coverage_of(commit)
        missed = round(_LINES_OF_CODE * (1 - percent / 100))
        return (
            f"TOTAL                                   {_LINES_OF_CODE}    {missed}    {percent:.1f}%",
            f"Required test coverage of 80% reached. Total coverage: {percent:.1f}%",
            "============================= 118 passed in 64.20s ==============================",
        )
    if step == "Validate schema and drift":
        return (
            f"rows: {1_200_000 + number % 3_000_000}  columns: 37  null_counts: {{'merchant': {number % 400}}}",
            f"population stability index {0.01 + number % 12 / 100:.2f} < 0.20",
            "Data validation passed",
        )
    return ()


def coverage_of(commit: str) -> float:
    """Return the test coverage of a commit in percent: always the same, and above what the pipeline asks for."""
    return 81 + int(commit[:4], 16) % 100 / 10


def coverage_xml(percent: float) -> str:
    """Return a report in Cobertura's format, as coverage.py writes it."""
    rate = f"{percent / 100:.4f}"
    covered = round(_LINES_OF_CODE * percent / 100)
    return (
        '<?xml version="1.0" ?>\n'
        f'<coverage version="7.6.1" lines-valid="{_LINES_OF_CODE}" lines-covered="{covered}" line-rate="{rate}"'
        ' branches-covered="0" branches-valid="0" branch-rate="0" complexity="0">\n'
        "\t<sources>\n\t\t<source>src</source>\n\t</sources>\n"
        f'\t<packages>\n\t\t<package name="model" line-rate="{rate}" branch-rate="0" complexity="0">\n'
        f'\t\t\t<classes>\n\t\t\t\t<class name="network.py" filename="model/network.py" line-rate="{rate}"'
        ' branch-rate="0" complexity="0">\n\t\t\t\t\t<methods/>\n\t\t\t\t\t<lines>\n'
        '\t\t\t\t\t\t<line number="1" hits="1"/>\n\t\t\t\t\t</lines>\n\t\t\t\t</class>\n\t\t\t</classes>\n'
        "\t\t</package>\n\t</packages>\n</coverage>\n"
    )


def diagnostics(model: Model, commit: str, at: datetime, kind: str, message: str, traceback: Sequence[str]) -> str:
    """Return the `training_diagnostics.json` of a training that failed at `at` with an error of this kind."""
    size = int(digest(model.name, commit)[:6], 16)
    data: dict[str, Any] = {
        "timestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "python_version": "3.11.9",
        "environment": {"torch_version": "2.4.1+cu121", "cuda_available": True, "gpu_count": 2},
        "data_stats": {
            "rows": 1_200_000 + size % 3_000_000,
            "columns": 37,
            "null_counts": {"merchant": size % 400, "country": size % 11},
        },
        "error": {"type": kind, "message": message, "traceback": "\n".join(traceback)},
    }
    return json.dumps(data, indent=2) + "\n"


def rollout_line(name: str, wanted: int, updated: int, total: int, available: int) -> str:
    """Return what `kubectl rollout status` says of a Deployment whose rollout is in this state."""
    if updated < wanted:
        return (
            f'Waiting for deployment "{name}" rollout to finish: '
            f"{updated} out of {wanted} new replicas have been updated..."
        )
    if total > updated:
        old = total - updated
        return f'Waiting for deployment "{name}" rollout to finish: {old} old replicas are pending termination...'
    if available < updated:
        return (
            f'Waiting for deployment "{name}" rollout to finish: '
            f"{available} of {updated} updated replicas are available..."
        )
    return f'deployment "{name}" successfully rolled out'


def gate_lines(
    model: Model, version: int, value: float, champion: int | None, champion_value: float | None
) -> list[str]:
    """Return how the promotion gate prints its verdict."""
    sign = ">=" if model.better > 0 else "<="
    passed = (value - model.threshold) * model.better >= 0
    known = "" if champion is None else f"; champion v{champion}: " + (
        "unknown" if champion_value is None else f"{champion_value:.4f}"
    )  # fmt: skip
    return [
        f"python scripts/promote.py --model {model.name} --version {version} --from Staging --to Production",
        f"gate: {model.metric} = {value:.4f} {sign} {model.threshold:.4f}: {'passed' if passed else 'FAILED'}{known}",
    ]
