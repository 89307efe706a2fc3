"""The two files that tell clients where the world is: a kubeconfig and the dashboard's settings."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from mlops_tui.demo import CONFIG_NAME, TOKEN_ENV
from mlops_tui.demo.story import MODELS

CLUSTER: str = "demo"
CONTEXTS = ("admin", "oncall")


def write_kubeconfig(path: Path, server: str, tokens: Mapping[str, str]) -> None:
    """Write a kubeconfig whose contexts are `tokens`' names, the first one current."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": next(iter(tokens)),
        "clusters": [{"name": CLUSTER, "cluster": {"server": server}}],
        "contexts": [
            {"name": name, "context": {"cluster": CLUSTER, "user": name, "namespace": "ml"}} for name in tokens
        ],
        "users": [{"name": name, "user": {"token": token}} for name, token in tokens.items()],
    }
    # JSON is YAML.
    _write(path, json.dumps(document, indent=2) + "\n")


def write_settings(home: Path, *, github: str, mlflow: str, kubeconfig: Path) -> Path:
    """Write the dashboard's settings, whole or not at all, and return where they are."""
    repositories = json.dumps([model.repository for model in MODELS])
    sections = [
        f'[github]\nbase_url = "{github}"\ntoken_env = "{TOKEN_ENV}"\nrepositories = {repositories}',
        f'[mlflow]\ntracking_uri = "{mlflow}"\nchampion = "champion"',
        *(
            f'[mlflow.models.{json.dumps(model.name)}]\nmetric = "{model.metric}"\n'
            f"higher_is_better = {'true' if model.better > 0 else 'false'}"
            for model in MODELS
        ),
        f"[kubernetes]\nkubeconfig = {json.dumps(str(kubeconfig))}",
        '[environments.production]\nprotected = true\ncontext = "admin"\nnamespaces = ["ml"]\n'
        'stage = "Production"\nalias = "champion"',
        '[environments.staging]\ncontext = "admin"\nnamespaces = ["ml-staging"]\n'
        'stage = "Staging"\nalias = "challenger"',
    ]
    path = home / CONFIG_NAME
    _write(path, "\n\n".join(sections) + "\n")
    return path


def _write(path: Path, text: str) -> None:
    unfinished = path.with_name(f".{path.name}.part")
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    unfinished.replace(path)
