"""The two files that tell clients where the world is: a kubeconfig and the dashboard's settings."""

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlops_tui.demo import CONFIG_NAME, TOKEN_ENV, Size
from mlops_tui.demo.story import MODELS

CLUSTER: str = "demo"
TOLERANCE = 0.01
"""By how much a version's metric may be worse than the champion's."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the systems are: addresses, and the kubeconfig's path."""

    github: str
    mlflow: str
    kubeconfig: Path


def write_kubeconfig(path: Path, server: str, tokens: Mapping[str, str], authority: bytes) -> None:
    """Write a kubeconfig whose contexts are `tokens`' names, the first one current.

    Args:
        authority: The certificate, in PEM, that the server's is signed by.
    """
    cluster = {"server": server, "certificate-authority-data": base64.b64encode(authority).decode()}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": next(iter(tokens)),
        "clusters": [{"name": CLUSTER, "cluster": cluster}],
        "contexts": [
            {"name": name, "context": {"cluster": CLUSTER, "user": name, "namespace": "ml"}} for name in tokens
        ],
        "users": [{"name": name, "user": {"token": token}} for name, token in tokens.items()],
    }
    # JSON is YAML.
    _write(path, json.dumps(document, indent=2) + "\n")


def write_settings(home: Path, places: Places, size: Size) -> Path:
    """Write the dashboard's settings, whole or not at all, and return where they are."""
    repositories = [model.repository for model in MODELS]
    namespaces = ["ml"]
    github = f'[github]\nbase_url = "{places.github}"\ntoken_env = "{TOKEN_ENV}"'
    if size == "large":
        from mlops_tui.demo import bulk

        repositories += bulk.repositories()
        namespaces += bulk.namespaces()
        github += f"\nruns = {bulk.RUNS_OF_A_REPOSITORY}"
    sections = [
        f"journal = {json.dumps(str(home / 'journal.jsonl'))}",
        f"{github}\nrepositories = {json.dumps(repositories)}",
        f'[mlflow]\ntracking_uri = "{places.mlflow}"\nchampion = "champion"',
        *(
            f'[mlflow.models.{json.dumps(model.name)}]\nmetric = "{model.metric}"\n'
            f"higher_is_better = {'true' if model.better > 0 else 'false'}\n\n"
            f"[mlflow.models.{json.dumps(model.name)}.gates.{model.metric}]\n"
            f"{'at_least' if model.better > 0 else 'at_most'} = {model.threshold}\ntolerance = {TOLERANCE}"
            for model in MODELS
        ),
        f"[kubernetes]\nkubeconfig = {json.dumps(str(places.kubeconfig))}",
        '[environments.production]\nprotected = true\nlock = true\ncontext = "admin"\n'
        f"namespaces = {json.dumps(namespaces)}\n"
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
