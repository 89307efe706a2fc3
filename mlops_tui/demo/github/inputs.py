"""The inputs of a workflow that somebody starts by hand."""

import json
import re
from collections.abc import Mapping
from typing import Final

from mlops_tui.demo.github.model import Workflow

_EXPRESSION: Final = re.compile(r"\$\{\{\s*(?:github\.event\.)?inputs\.([\w-]+)\s*\}\}")


def inputs_of(workflow: Workflow, given: Mapping[str, object]) -> dict[str, str]:
    """Return what a run gets, defaults included.

    Raises:
        ValueError: An input is unknown, or is not among its options, or one that has to be there is not.
    """
    unknown = [name for name in given if name not in {entry.name for entry in workflow.inputs}]
    if unknown:
        raise ValueError(f"Unexpected inputs provided: {json.dumps(unknown)}")
    values = {}
    for entry in workflow.inputs:
        value = _text(given[entry.name]) if entry.name in given else entry.default
        if not value and entry.required:
            raise ValueError(f"Required input '{entry.name}' not provided")
        if value and entry.options and value not in entry.options:
            raise ValueError(f"Provided value '{value}' for input '{entry.name}' not in the list of allowed values")
        if value and entry.type == "boolean" and value not in ("true", "false"):
            raise ValueError(f"Provided value '{value}' for input '{entry.name}' is not a boolean")
        values[entry.name] = value
    return values


def run_name(workflow: Workflow, inputs: Mapping[str, str]) -> str:
    """Return how a run with these inputs is called."""
    return _EXPRESSION.sub(lambda match: inputs.get(match[1], ""), workflow.run_name).strip() or workflow.name


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
