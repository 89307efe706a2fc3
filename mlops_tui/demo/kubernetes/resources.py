"""The resource types that the server knows."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True)
class Definition:
    """What a version of a CustomResourceDefinition says of its objects.

    Attributes:
        schema: The structural OpenAPI schema.
        columns: `additionalPrinterColumns`, empty for the default, the age.
        scale: The paths of the scale subresource, if it is declared.
    """

    schema: Mapping[str, Any]
    columns: tuple[Mapping[str, Any], ...] = ()
    scale: Mapping[str, str] | None = None


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
        singular_name: The name of one object where it is not the kind in lower case.
        list_name: The kind of a list where it is not the kind with `List`.
        definition: What makes this a custom resource; `None` for what is built in.
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
    singular_name: str = ""
    list_name: str = ""
    definition: Definition | None = field(default=None, compare=False, repr=False)

    @property
    def singular(self) -> str:
        """The name of one object, for clients that look types up."""
        return self.singular_name or self.kind.lower()

    @property
    def list_kind(self) -> str:
        """The kind of a list of these objects."""
        return self.list_name or f"{self.kind}List"

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

DEFINITIONS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False,
    short_names=("crd", "crds"), categories=("api-extensions",), subresources=("status",), spec_versioned=True,
    unconditional_update=False, deleted_as_object=True,
)  # fmt: skip

RESOURCES = (NAMESPACES, PODS, SERVICES, EVENTS, DEPLOYMENTS, REPLICA_SETS, LEASES, AUTOSCALERS, DEFINITIONS)
_STABILITY = {"": 2, "beta": 1, "alpha": 0}


def version_rank(version: str) -> tuple[int, int, int]:
    """Return what orders API versions, the preferred one highest: v2, v1, v1beta2, v1beta1, v1alpha1, others."""
    found = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if found is None:
        return -1, 0, 0
    major, stability, minor = found.groups(default="")
    return _STABILITY[stability], int(major), int(minor or 0)


class ResourceTypes:
    """The types of one cluster: what is built in, and what CustomResourceDefinitions add."""

    def __init__(self) -> None:
        self._custom: dict[str, tuple[Resource, ...]] = {}
        self._by_path: dict[tuple[str, str, str], Resource] = {}
        self._by_kind: dict[tuple[str, str], Resource] = {}
        self._index()

    def __iter__(self) -> Iterator[Resource]:
        """Yield every version of every type; a custom one's preferred version comes first."""
        yield from RESOURCES
        for versions in self._custom.values():
            yield from versions

    def at(self, group: str, version: str, plural: str) -> Resource | None:
        """Return the type that a path means."""
        return self._by_path.get((group, version, plural))

    def of_kind(self, kind: str, api_version: str = "") -> Resource:
        """Return the type of a kind; without `api_version` what is built in goes before what is not.

        Raises:
            KeyError: There is none.
        """
        return self._by_kind[api_version, kind]

    def find(self, kind: str, group: str) -> Resource | None:
        """Return the preferred version of a kind in a group."""
        return next((each for each in self if (each.kind, each.group) == (kind, group)), None)

    def establish(self, versions: Iterable[Resource]) -> None:
        """Add a custom type, or replace what was known of it."""
        ordered = tuple(sorted(versions, key=lambda each: version_rank(each.version), reverse=True))
        self._custom[ordered[0].qualified] = ordered
        self._index()

    def withdraw(self, qualified: str) -> None:
        """Forget a custom type."""
        self._custom.pop(qualified, None)
        self._index()

    def _index(self) -> None:
        self._by_path = {(each.group, each.version, each.plural): each for each in self}
        self._by_kind = {}
        for each in self:
            self._by_kind.setdefault((each.group_version, each.kind), each)
            self._by_kind.setdefault(("", each.kind), each)
