"""From a Deployment of the API to a row."""

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from mlops_tui.domain.base import Mark
from mlops_tui.domain.errors import Unavailable
from mlops_tui.domain.rollout import RolloutRow
from mlops_tui.sources.kubernetes.detail import label_selector, pod_reason
from mlops_tui.sources.kubernetes.projection import revision, rollout_row

DEPLOYMENT: dict[str, Any] = {
    "metadata": {
        "name": "fraud-api",
        "namespace": "ml",
        "uid": "3f0c",
        "resourceVersion": "71",
        "generation": 4,
        "creationTimestamp": "2026-11-18T09:40:00Z",
        "labels": {"app": "fraud", "team": "risk"},
        "annotations": {"deployment.kubernetes.io/revision": "14", "kubernetes.io/change-cause": "promote v12"},
        "managedFields": [{"manager": "kubectl"}],
    },
    "spec": {
        "replicas": 6,
        "selector": {"matchLabels": {"app": "fraud"}},
        "template": {
            "metadata": {"labels": {"app": "fraud", "team": "serving", "version": "v12"}},
            "spec": {"containers": [{"name": "model", "image": "fraud:v12"}, {"name": "proxy", "image": "envoy:1"}]},
        },
    },
    "status": {
        "observedGeneration": 4,
        "replicas": 6,
        "updatedReplicas": 6,
        "readyReplicas": 6,
        "availableReplicas": 6,
        "conditions": [
            {
                "type": "Progressing",
                "status": "True",
                "reason": "NewReplicaSetAvailable",
                "lastUpdateTime": "2026-11-20T13:00:00Z",
                "lastTransitionTime": "2026-11-18T09:40:00Z",
            },
            {"type": "Available", "status": "True", "lastTransitionTime": "2026-11-18T09:41:00Z"},
        ],
    },
}


def row_of(deployment: dict[str, Any]) -> RolloutRow:
    return rollout_row(deployment, source="kubernetes", context="prod-eu", environment="production")


def test_all_fields() -> None:
    row = row_of(DEPLOYMENT)
    assert row.key == "kubernetes/ml/fraud-api"
    assert (row.environment, row.context, row.uid, row.resource_version) == ("production", "prod-eu", "3f0c", "71")
    assert row.images == ("fraud:v12", "envoy:1")
    assert (row.revision, row.change_cause) == (14, "promote v12")
    assert row.labels == {"app": "fraud", "team": "serving", "version": "v12"}
    assert [condition.type for condition in row.conditions] == ["Available", "Progressing"]
    assert row.created_at == datetime(2026, 11, 18, 9, 40, tzinfo=UTC)
    assert row.updated_at == datetime(2026, 11, 20, 13, tzinfo=UTC)
    assert row.mark is Mark.OK


def test_a_deployment_that_no_controller_has_seen() -> None:
    deployment = copy.deepcopy(DEPLOYMENT)
    del deployment["status"], deployment["metadata"]["annotations"], deployment["metadata"]["labels"]
    row = row_of(deployment)
    assert (row.revision, row.change_cause, row.conditions) == (None, "", ())
    assert row.updated_at == row.created_at


def test_text_from_outside_is_made_safe() -> None:
    deployment = copy.deepcopy(DEPLOYMENT)
    deployment["metadata"]["annotations"]["kubernetes.io/change-cause"] = "ev\x1b[31mil\nline\u202e"
    assert row_of(deployment).change_cause == "evil line"


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"metadata": None},
        {**DEPLOYMENT, "spec": []},
        {**DEPLOYMENT, "status": {"replicas": "many"}},
        {**DEPLOYMENT, "status": {"conditions": ["?"]}},
    ],
)
def test_what_is_no_deployment_is_a_servers_failure(wrong: dict[str, Any]) -> None:
    with pytest.raises(Unavailable, match="cannot be read"):
        row_of(wrong)


@pytest.mark.parametrize(("value", "number"), [("3", 3), ("", None), ("three", None), ("²", None), ("-1", None)])
def test_revisions(value: str, number: int | None) -> None:
    assert revision({"annotations": {"deployment.kubernetes.io/revision": value}}) == number


def test_selectors() -> None:
    selector = {
        "matchLabels": {"app": "fraud"},
        "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["a", "b"]},
            {"key": "zone", "operator": "NotIn", "values": ["c"]},
            {"key": "gpu", "operator": "Exists"},
            {"key": "old", "operator": "DoesNotExist"},
        ],
    }
    assert label_selector(selector) == "app=fraud,tier in (a,b),zone notin (c),gpu,!old"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({"phase": "Pending"}, "Pending"),
        ({"phase": "Running", "containerStatuses": [{"state": {"running": {}}}]}, "Running"),
        (
            {"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull"}}}]},
            "ErrImagePull",
        ),
        ({"phase": "Pending", "initContainerStatuses": [{"state": {"terminated": {"exitCode": 3}}}]}, "ExitCode:3"),
        ({"containerStatuses": [{"state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}]}, "OOMKilled"),
        ({"phase": "Succeeded", "containerStatuses": [{"state": {"terminated": {"exitCode": 0}}}]}, "Succeeded"),
        ({"phase": "Failed", "reason": "Evicted"}, "Evicted"),
        ({}, "Unknown"),
    ],
)
def test_why_a_pod_does_not_run(status: dict[str, Any], reason: str) -> None:
    assert pod_reason({"metadata": {"name": "p"}, "status": status}) == reason


def test_a_pod_that_is_being_deleted() -> None:
    metadata = {"name": "p", "deletionTimestamp": "2026-11-20T13:00:00Z"}
    assert pod_reason({"metadata": metadata, "status": {"phase": "Running"}}) == "Terminating"
