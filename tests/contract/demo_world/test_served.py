"""The served world, through clients that know nothing of it."""

import base64
import json
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mlops_tui import demo
from mlops_tui.config.settings import load_settings
from tests.support.github_schema import judge_response
from tests.support.kubernetes_schema import check_object

Addresses = demo.Addresses


@pytest.fixture
def github(addresses: Addresses) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {addresses['github_token']}"}
    with httpx.Client(
        base_url=addresses["github_api_url"],
        headers=headers,
        trust_env=False,
        timeout=30,
        event_hooks={"response": [judge_response]},
    ) as client:
        yield client


@pytest.fixture
def mlflow(addresses: Addresses) -> Iterator[httpx.Client]:
    base_url = f"{addresses['mlflow_tracking_uri']}/api/2.0/mlflow/"
    with httpx.Client(base_url=base_url, trust_env=False, timeout=30) as client:
        yield client


def kubernetes(addresses: Addresses, context: str) -> httpx.Client:
    document = json.loads(Path(addresses["kubeconfig"]).read_text())
    (token,) = [user["user"]["token"] for user in document["users"] if user["name"] == context]
    cluster = document["clusters"][0]["cluster"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    return httpx.Client(
        base_url=cluster["server"],
        headers={"Authorization": f"Bearer {token}"},
        verify=ssl.create_default_context(cadata=authority),
        trust_env=False,
        timeout=30,
        event_hooks={"response": [judge_object]},
    )


def judge_object(response: httpx.Response) -> None:
    """Check what Kubernetes answered against the official schemas."""
    check_object(json.loads(response.read()))


def test_the_settings_lead_to_the_systems(addresses: Addresses) -> None:
    settings = load_settings(Path(addresses["config"]))
    assert settings.github.base_url == addresses["github_api_url"]
    assert settings.github.token_env == demo.TOKEN_ENV
    assert settings.mlflow.tracking_uri == addresses["mlflow_tracking_uri"]
    assert settings.kubernetes.kubeconfig == addresses["kubeconfig"]
    assert {environment.context for environment in settings.environments.values()} == {"admin"}


def test_github_shows_runs_and_checklists(github: httpx.Client) -> None:
    runs = github.get("/repos/acme/fraud/actions/runs", params={"per_page": 100}).raise_for_status().json()
    assert {"ML CI Pipeline", "ML CD Pipeline", "Auto Rollback on Failure", "PR Quality Checks"} <= {
        run["name"] for run in runs["workflow_runs"]
    }
    (pull, *_) = github.get("/repos/acme/fraud/pulls", params={"base": "dev"}).raise_for_status().json()
    comments = github.get(f"/repos/acme/fraud/issues/{pull['number']}/comments").raise_for_status().json()
    assert any(comment["body"].startswith("## PR Checklist") for comment in comments)


def test_github_refuses_strangers_and_the_reader_who_writes(addresses: Addresses, github: httpx.Client) -> None:
    url = f"{addresses['github_api_url']}/repos/acme/fraud/issues/14/comments"
    assert httpx.get(url, headers={"Authorization": "Bearer nobody"}, trust_env=False).status_code == 401
    reader = {"Authorization": f"Bearer {addresses['github_readonly_token']}"}
    assert httpx.get(url, headers=reader, trust_env=False).status_code == 200
    assert httpx.post(url, headers=reader, json={"body": "hello"}, trust_env=False).status_code == 403
    checks = f"{addresses['github_api_url']}/repos/acme/fraud/commits/main/check-runs"
    assert httpx.get(checks, headers=reader, trust_env=False).status_code == 403


@pytest.mark.parametrize(("context", "answer"), [("admin", 200), ("oncall", 403)])
def test_the_contexts_have_their_roles(addresses: Addresses, context: str, answer: int) -> None:
    path = "/apis/apps/v1/namespaces/ml-staging/deployments/churn"
    with kubernetes(addresses, context) as client:
        assert client.get(path).status_code == 200
        patch = {"metadata": {"annotations": {"touched-by": context}}}
        headers = {"Content-Type": "application/merge-patch+json"}
        assert client.patch(path, json=patch, headers=headers).status_code == answer


@pytest.mark.tool("kubectl")
@pytest.mark.parametrize(("context", "answer"), [("admin", "yes"), ("oncall", "no")])
def test_kubectl_speaks_to_it_in_both_roles(addresses: Addresses, context: str, answer: str, tmp_path: Path) -> None:
    asked = ["kubectl", "--kubeconfig", addresses["kubeconfig"], "--cache-dir", str(tmp_path), "--context", context]
    said = subprocess.run([*asked, "auth", "can-i", "patch", "deployments"], capture_output=True, text=True)
    assert (said.stdout.strip(), said.returncode == 0) == (answer, answer == "yes")


def test_prometheus_has_the_figures_of_what_serves(addresses: Addresses) -> None:
    query = 'sum by (version) (rate(model_requests_total{namespace="ml", model="churn"}[5m]))'
    with httpx.Client(base_url=addresses["prometheus_url"], trust_env=False, timeout=30) as client:
        answer = client.get("/api/v1/query", params={"query": query}).raise_for_status().json()
    (series,) = answer["data"]["result"]
    assert series["metric"] == {"version": "v7"}
    assert float(series["value"][1]) > 0


def test_deployments_versions_and_merges_join(addresses: Addresses, github: httpx.Client, mlflow: httpx.Client) -> None:
    with kubernetes(addresses, "admin") as client:
        deployment = client.get("/apis/apps/v1/namespaces/ml-staging/deployments/churn").raise_for_status().json()
    image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    found = mlflow.get("model-versions/search", params={"filter": f"tags.image = '{image}'"}).raise_for_status().json()
    (version,) = found["model_versions"]
    run = mlflow.get("runs/get", params={"run_id": version["run_id"]}).raise_for_status().json()["run"]
    commit = next(tag["value"] for tag in run["data"]["tags"] if tag["key"] == "mlflow.source.git.commit")
    assert image == f"registry.example/churn:v{version['version']}-{commit[:7]}"
    number = next(tag["value"] for tag in version["tags"] if tag["key"] == "pull_request")
    assert github.get(f"/repos/acme/churn/pulls/{number}").raise_for_status().json()["merge_commit_sha"] == commit


def test_the_registry_has_stages_aliases_and_metrics(mlflow: httpx.Client) -> None:
    models = mlflow.get("registered-models/search").raise_for_status().json()["registered_models"]
    assert {model["name"] for model in models} == {"churn", "fraud-detector", "ranker", "vision-ocr"}
    for model in models:
        aliases = {alias["alias"]: alias["version"] for alias in model["aliases"]}
        stages = {latest["current_stage"]: latest["version"] for latest in model["latest_versions"]}
        assert aliases["champion"] == stages["Production"]
    versions = mlflow.get("model-versions/search", params={"max_results": 1000}).raise_for_status().json()
    assert len(versions["model_versions"]) >= 61
    body = {"experiment_ids": ["1", "2", "3", "4"], "max_results": 1000}
    runs = mlflow.post("runs/search", json=body).raise_for_status().json()["runs"]
    assert {"FINISHED", "FAILED"} <= {run["info"]["status"] for run in runs}
    finished = [run for run in runs if run["info"]["status"] == "FINISHED"]
    assert all({"loss", "p95_latency_ms"} <= {metric["key"] for metric in run["data"]["metrics"]} for run in finished)


def test_mlflows_own_client_reads_it(addresses: Addresses) -> None:
    script = (
        "from mlflow import MlflowClient; client = MlflowClient();"
        "print(client.get_model_version_by_alias('fraud-detector', 'champion').version)"
    )
    environment = {
        "MLFLOW_TRACKING_URI": addresses["mlflow_tracking_uri"],
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "NO_PROXY": "127.0.0.1",
    }
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip().isdigit()


def test_it_moves(addresses: Addresses, github: httpx.Client) -> None:
    def seen() -> list[Any]:
        with kubernetes(addresses, "admin") as client:
            there = client.get("/apis/apps/v1/deployments").raise_for_status().json()["metadata"]["resourceVersion"]
        rows: list[Any] = [there]
        for repo in ("fraud", "ranker", "vision", "churn"):
            runs = github.get(f"/repos/acme/{repo}/actions/runs").raise_for_status().json()["workflow_runs"]
            pulls = github.get(f"/repos/acme/{repo}/pulls").raise_for_status().json()
            rows += [(run["id"], run["status"], run["updated_at"]) for run in runs]
            rows += [(pull["number"], pull["updated_at"]) for pull in pulls]
        return rows

    first, deadline = seen(), time.monotonic() + 10
    while seen() == first:
        assert time.monotonic() < deadline
        time.sleep(0.25)
