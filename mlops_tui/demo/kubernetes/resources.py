"""The resource types that the server knows."""

from dataclasses import dataclass
from functools import cached_property

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True)
class Resource:
    """A type of objects and how the API presents it.

    Attributes:
        field_labels: What field selectors may name beyond `metadata.name` and `metadata.namespace`.
        spec_versioned: A change of `spec` makes a new `metadata.generation`.
        annotations_versioned: So does a change of the annotations.
        unconditional_update: PUT works without a resourceVersion.
        create_on_update: PUT of an object that is missing creates it.
        deleted_as_object: DELETE answers the object instead of a `Status`.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    field_labels: tuple[str, ...] = ()
    spec_versioned: bool = False
    annotations_versioned: bool = False
    unconditional_update: bool = True
    create_on_update: bool = False
    deleted_as_object: bool = False

    @cached_property
    def group_version(self) -> str:
        """`apps/v1`, or `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @cached_property
    def qualified(self) -> str:
        """`deployments.apps`: what messages call the type."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @cached_property
    def type_meta(self) -> bytes:
        """The head of an encoded object, up to its first own field."""
        return f'{{"kind":"{self.kind}","apiVersion":"{self.group_version}",'.encode()


NAMESPACES = Resource(
    "", "v1", "namespaces", "Namespace", namespaced=False, short_names=("ns",), subresources=("status",),
    field_labels=("status.phase",), deleted_as_object=True,
)  # fmt: skip
PODS = Resource(
    "", "v1", "pods", "Pod", short_names=("po",), categories=("all",), subresources=("log", "status"),
    field_labels=("spec.nodeName", "spec.restartPolicy", "status.phase", "status.podIP"), deleted_as_object=True,
)  # fmt: skip
SERVICES = Resource(
    "", "v1", "services", "Service", short_names=("svc",), categories=("all",), subresources=("status",),
)  # fmt: skip
EVENTS = Resource(
    "", "v1", "events", "Event", short_names=("ev",),
    field_labels=(
        "involvedObject.apiVersion", "involvedObject.fieldPath", "involvedObject.kind", "involvedObject.name",
        "involvedObject.namespace", "involvedObject.resourceVersion", "involvedObject.uid", "reason",
        "reportingComponent", "source", "type",
    ),
)  # fmt: skip
DEPLOYMENTS = Resource(
    "apps", "v1", "deployments", "Deployment", short_names=("deploy",), categories=("all",),
    subresources=("scale", "status"), spec_versioned=True, annotations_versioned=True,
)  # fmt: skip
REPLICA_SETS = Resource(
    "apps", "v1", "replicasets", "ReplicaSet", short_names=("rs",), categories=("all",),
    subresources=("scale", "status"), spec_versioned=True,
)  # fmt: skip
LEASES = Resource(
    "coordination.k8s.io", "v1", "leases", "Lease", unconditional_update=False, create_on_update=True,
)  # fmt: skip
AUTOSCALERS = Resource(
    "autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", short_names=("hpa",),
    categories=("all",), subresources=("status",),
)  # fmt: skip

RESOURCES = (NAMESPACES, PODS, SERVICES, EVENTS, DEPLOYMENTS, REPLICA_SETS, LEASES, AUTOSCALERS)
BY_KIND = {resource.kind: resource for resource in RESOURCES}
BY_PATH = {(resource.group, resource.version, resource.plural): resource for resource in RESOURCES}
