"""The CustomResourceDefinitions of Istio and Argo, as far as a release needs them.

Names, versions, subresources and columns are theirs; the schemas check the fields that others rely on and let the
rest through.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from mlops_tui.demo.kubernetes.cluster import Cluster
from mlops_tui.demo.kubernetes.store import JsonObject

_OPEN: JsonObject = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_TEXT: JsonObject = {"type": "string"}
_TEXTS: JsonObject = {"type": "array", "items": _TEXT}
_COUNT: JsonObject = {"type": "integer"}
_SHARE: JsonObject = {"x-kubernetes-int-or-string": True}


def install_istio(cluster: Cluster) -> None:
    """Make VirtualServices and DestinationRules known to a cluster, in v1 and v1beta1 alike."""
    for manifest in ISTIO:
        cluster.apply(manifest)


def install_argo(cluster: Cluster) -> None:
    """Make Argo's Rollouts and Applications known to a cluster."""
    for manifest in ARGO:
        cluster.apply(manifest)


def _object(required: Sequence[str] = (), **properties: JsonObject) -> JsonObject:
    """Return the schema of an object that may also have fields other than these."""
    schema = {**_OPEN, "properties": properties}
    return {**schema, "required": list(required)} if required else schema


def _list(items: JsonObject) -> JsonObject:
    return {"type": "array", "items": items}


def _column(name: str, path: str, type_: str = "string") -> JsonObject:
    return {"name": name, "type": type_, "jsonPath": path}


def _definition(
    kind: str, group: str, plural: str, versions: Sequence[str], short_names: Sequence[str],
    columns: list[JsonObject], spec: JsonObject, *, categories: Sequence[str] = (), **parts: Any,
) -> JsonObject:  # fmt: skip
    """Return a CustomResourceDefinition whose first version is the one that is stored."""
    names: JsonObject = {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"}
    names["shortNames"] = list(short_names)
    if categories:
        names["categories"] = list(categories)
    schema = {"type": "object", "required": ["spec"], "properties": {"spec": spec, "status": _OPEN}}
    served = [
        {
            "name": version,
            "served": True,
            "storage": version == versions[0],
            "schema": {"openAPIV3Schema": schema},
            "additionalPrinterColumns": columns,
            **parts,
        }
        for version in versions
    ]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": served},
    }


_AGE = _column("Age", ".metadata.creationTimestamp", "date")
_ISTIO: Mapping[str, Any] = {
    "group": "networking.istio.io",
    "versions": ("v1", "v1beta1"),
    "categories": ("istio-io", "networking-istio-io"),
}
_DESTINATION = _object(["host"], host=_TEXT, subset=_TEXT)
_ROUTE = _object(["destination"], destination=_DESTINATION, weight=_COUNT)
ISTIO = (
    _definition(
        kind="VirtualService",
        plural="virtualservices",
        short_names=("vs",),
        columns=[
            _column("Gateways", ".spec.gateways"),
            _column("Hosts", ".spec.hosts"),
            _AGE,
        ],
        spec=_object(hosts=_TEXTS, gateways=_TEXTS, http=_list(_object(name=_TEXT, route=_list(_ROUTE)))),
        subresources={"status": {}},
        **_ISTIO,
    ),
    _definition(
        kind="DestinationRule",
        plural="destinationrules",
        short_names=("dr",),
        columns=[_column("Host", ".spec.host"), _AGE],
        spec=_object(["host"], host=_TEXT, subsets=_list(_object(["name"], name=_TEXT, labels=_OPEN))),
        subresources={"status": {}},
        **_ISTIO,
    ),
)  # fmt: skip

_PAUSE = _object(duration=_SHARE)
_STEP = _object(setWeight=_COUNT, pause=_PAUSE)
_CANARY = _object(
    canaryService=_TEXT, stableService=_TEXT, maxSurge=_SHARE, maxUnavailable=_SHARE, steps=_list(_STEP),
    trafficRouting=_OPEN,
)  # fmt: skip
_BLUE_GREEN = _object(
    ["activeService"], activeService=_TEXT, previewService=_TEXT, autoPromotionEnabled={"type": "boolean"},
    autoPromotionSeconds=_COUNT, scaleDownDelaySeconds=_COUNT,
)  # fmt: skip
ARGO = (
    _definition(
        kind="Rollout",
        group="argoproj.io",
        plural="rollouts",
        versions=("v1alpha1",),
        short_names=("ro",),
        columns=[
            _column("Desired", ".spec.replicas", "integer"),
            _column("Current", ".status.replicas", "integer"),
            _column("Up-to-date", ".status.updatedReplicas", "integer"),
            _column("Available", ".status.availableReplicas", "integer"),
            _AGE,
        ],
        spec=_object(
            replicas=_COUNT, selector=_OPEN, template=_OPEN, strategy=_object(canary=_CANARY, blueGreen=_BLUE_GREEN),
            paused={"type": "boolean"}, minReadySeconds=_COUNT, progressDeadlineSeconds=_COUNT,
            revisionHistoryLimit=_COUNT, restartAt=_TEXT,
        ),
        subresources={
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.HPAReplicas",
                "labelSelectorPath": ".status.selector",
            },
        },
    ),
    _definition(
        kind="Application",
        group="argoproj.io",
        plural="applications",
        versions=("v1alpha1",),
        short_names=("app", "apps"),
        columns=[
            _column("Sync Status", ".status.sync.status"),
            _column("Health Status", ".status.health.status"),
            {**_column("Revision", ".status.sync.revision"), "priority": 10},
            {**_column("Project", ".spec.project"), "priority": 10},
        ],
        spec=_object(["destination", "project"], destination=_OPEN, project=_TEXT, source=_OPEN, syncPolicy=_OPEN),
        subresources={},
    ),
)  # fmt: skip
