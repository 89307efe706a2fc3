"""What stands around the models in the cluster: Services, routes, autoscaling, blue and green, a Rollout."""

from typing import Any, Final

from mlops_tui.demo.fleet import PRODUCTION, STAGING
from mlops_tui.demo.story import MODELS, Model, digest

FEATURES: Final = "fraud-features"
"""What the fraud detector asks for features: deployed blue-green."""
EMBEDDER: Final = "query-embedder"
"""What the ranker asks for embeddings: rolled out by Argo Rollouts."""
AUTOSCALED: Final = "vision-ocr"
TARGET_UTILIZATION: Final = 60
"""Percent of what a replica can take that the autoscaler aims at."""
_HOST: Final = "registry.example"


def manifests() -> list[dict[str, Any]]:
    """Return everything that is there all the time, in an order in which it can be applied."""
    made: list[dict[str, Any]] = []
    for model in MODELS:
        for namespace in (PRODUCTION, STAGING):
            made.append(_service(namespace, model.deployment, {"model": model.name}, {"model": model.name}))
        if model.canary:
            made += [destination_rule(model), virtual_service(model, 0)]
    made += [_coloured("blue", "v41", 4), _coloured("green", "v42", 4)]
    selector = {"app": FEATURES, "version": "blue"}
    made.append(_service(PRODUCTION, FEATURES, selector, {"model": FEATURES}))
    made.append(_service(PRODUCTION, EMBEDDER, {"app": EMBEDDER}, {"model": EMBEDDER}))
    return made


def destination_rule(model: Model) -> dict[str, Any]:
    """Return the subsets of a model's pods that its routes name."""
    subsets = [{"name": name, "labels": {"track": name}} for name in ("stable", "canary")]
    return _object(
        "networking.istio.io/v1",
        "DestinationRule",
        PRODUCTION,
        model.deployment,
        {"host": model.deployment, "subsets": subsets},
        {"model": model.name},
    )


def virtual_service(model: Model, canary: int) -> dict[str, Any]:
    """Return the routes to a model: `canary` percent of the requests, and all with the header, go to the canary."""

    def to(subset: str, weight: int | None = None) -> dict[str, Any]:
        known: dict[str, Any] = {"destination": {"host": model.deployment, "subset": subset}}
        return known if weight is None else {**known, "weight": weight}

    by_header = {
        "name": "canary-by-header",
        "match": [{"headers": {"canary": {"exact": "true"}}}],
        "route": [to("canary")],
    }
    weighted = {"name": "weighted", "route": [to("stable", 100 - canary), to("canary", canary)]}
    spec = {"hosts": [model.deployment], "http": [by_header, weighted]}
    labels = {"model": model.name}
    return _object("networking.istio.io/v1", "VirtualService", PRODUCTION, model.deployment, spec, labels)


def rollout(version: int) -> dict[str, Any]:
    """Return the embedder's Rollout with a version; a new one goes to a pause that somebody has to end."""
    image = f"{_HOST}/{EMBEDDER}:v{version}-{digest(EMBEDDER, version)[:7]}"
    spec = {
        "replicas": 5,
        "revisionHistoryLimit": 3,
        "selector": {"matchLabels": {"app": EMBEDDER}},
        "template": {
            "metadata": {"labels": {"app": EMBEDDER}},
            "spec": {"containers": [{"name": "server", "image": image, "ports": [{"containerPort": 8080}]}]},
        },
        "strategy": {
            "canary": {"steps": [{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}, {"pause": {"duration": 60}}]}
        },
    }
    return _object("argoproj.io/v1alpha1", "Rollout", PRODUCTION, EMBEDDER, spec, {"app": EMBEDDER})


def autoscaler() -> dict[str, Any]:
    """Return what decides about the replicas of the receipt reader."""
    model = next(model for model in MODELS if model.deployment == AUTOSCALED)
    utilization = {"type": "Utilization", "averageUtilization": TARGET_UTILIZATION}
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": AUTOSCALED},
        "minReplicas": 2,
        "maxReplicas": 8,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": utilization}}],
    }
    labels = {"model": model.name}
    return _object("autoscaling/v2", "HorizontalPodAutoscaler", PRODUCTION, AUTOSCALED, spec, labels)


def _coloured(colour: str, version: str, replicas: int) -> dict[str, Any]:
    name = f"{FEATURES}-{colour}"
    labels = {"app": FEATURES, "version": colour}
    image = f"{_HOST}/{FEATURES}:{version}-{digest(FEATURES, version)[:7]}"
    known = {"model": FEATURES, "model-version": version}
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels | known},
            "spec": {"containers": [{"name": "server", "image": image, "ports": [{"containerPort": 8080}]}]},
        },
    }
    return _object("apps/v1", "Deployment", PRODUCTION, name, spec, labels | known)


def _service(namespace: str, name: str, selector: dict[str, str], labels: dict[str, str]) -> dict[str, Any]:
    spec = {"selector": selector, "ports": [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}]}
    return _object("v1", "Service", namespace, name, spec, labels)


def _object(
    version: str, kind: str, namespace: str, name: str, spec: dict[str, Any], labels: dict[str, str]
) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}
