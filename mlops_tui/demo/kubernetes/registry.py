"""What the API does with a request for an object: defaults, rules, preconditions, generations, deletion.

The HTTP server and the demo's scenario both come through here; controllers write what they own past it, as they write
nothing that has to be checked.
"""

import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from mlops_tui.demo.kubernetes import errors
from mlops_tui.demo.kubernetes.defaults import with_defaults
from mlops_tui.demo.kubernetes.resources import NAMESPACES, PODS, SERVICES, Resource
from mlops_tui.demo.kubernetes.selectors import selector_text
from mlops_tui.demo.kubernetes.store import JsonObject, Store, Stored
from mlops_tui.demo.kubernetes.validation import check_shape, negative_scale, validate
from mlops_tui.domain.clock import Clock

NAME_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""Letters of generated names: no vowels and nothing that looks like another, as in the real server."""
GRACE_SECONDS = 30
_OWN_METADATA = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds")
"""Metadata that clients send back but do not decide."""


def timestamp(moment: datetime) -> str:
    """Return a moment as the API writes it: UTC, whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_timestamp(text: str) -> datetime:
    """Return the moment that a timestamp of the API means; what clients write there instead counts as long ago."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class Registry:
    """Creates, changes and deletes objects by the API's rules.

    Every method returns the body of the object as it is afterwards (or would be, with `dry_run`) and raises
    `ApiError` with the status that the real server answers.
    """

    def __init__(self, store: Store, clock: Clock, seed: int) -> None:
        self.store = store
        self._clock = clock
        self._random = random.Random(seed)

    def uid(self) -> str:
        """Return a new uid: random, but the same for the same seed."""
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def suffix(self, length: int = 5) -> str:
        """Return the random end of a generated name."""
        return "".join(self._random.choices(NAME_ALPHABET, k=length))

    def choose(self, choices: tuple[str, ...]) -> str:
        """Return one of `choices`."""
        return self._random.choice(choices)

    def find(self, resource: Resource, namespace: str, name: str) -> Stored:
        """Return an object, or raise 404."""
        stored = self.store.get(resource, namespace, name)
        if stored is None:
            raise errors.not_found(resource, name)
        return stored

    def create(self, resource: Resource, namespace: str, body: Any, *, dry_run: bool = False) -> JsonObject:
        """Create an object from what a client sent."""
        body = _typed(resource, body)
        metadata = dict(body.get("metadata") or {})
        if resource.namespaced:
            if metadata.get("namespace", namespace) != namespace:
                raise errors.bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request"
                )
            metadata["namespace"] = namespace
        if metadata.get("resourceVersion"):
            raise errors.bad_request("resourceVersion should not be set on objects to be created")
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + self.suffix()
        metadata = {
            **{key: value for key, value in metadata.items() if key not in _OWN_METADATA},
            "uid": self.uid(),
            "creationTimestamp": timestamp(self._clock.now()),
            **({"generation": 1} if resource.spec_versioned else {}),
        }
        fresh = {key: value for key, value in body.items() if key != "status"}
        created = with_defaults({**fresh, "metadata": metadata})
        validate(resource, created)
        if resource.namespaced and self.store.get(NAMESPACES, "", namespace) is None:
            raise errors.not_found(NAMESPACES, namespace)
        if self.store.get(resource, metadata.get("namespace", ""), metadata["name"]) is not None:
            raise errors.already_exists(resource, metadata["name"])
        if resource is SERVICES:
            created = {**created, "spec": self._addressed(created["spec"])}
        return created if dry_run else self.store.put(resource, created).body

    def _addressed(self, spec: JsonObject) -> JsonObject:
        if spec.get("clusterIP") or spec["type"] == "ExternalName":
            return spec
        address = f"10.96.{self._random.randrange(256)}.{self._random.randrange(1, 255)}"
        families = {"ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "internalTrafficPolicy": "Cluster"}
        return {**families, **spec, "clusterIP": address, "clusterIPs": [address]}

    def update(
        self, resource: Resource, namespace: str, name: str, body: Any, *, subresource: str = "", dry_run: bool = False
    ) -> JsonObject:
        """Replace an object, or with `subresource="status"` its status (PUT)."""
        body = _typed(resource, body)
        metadata = body.get("metadata") or {}
        if metadata.get("name", name) != name:
            raise errors.bad_request(
                f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
            )
        if metadata.get("namespace", namespace) != namespace:
            raise errors.bad_request(
                f"the namespace of the object ({metadata['namespace']}) does not match the namespace on the request "
                f"({namespace})"
            )
        stored = self.store.get(resource, namespace, name)
        if stored is None and resource.create_on_update and not subresource:
            return self.create(resource, namespace, body, dry_run=dry_run)
        if stored is None:
            raise errors.not_found(resource, name)
        if not metadata.get("resourceVersion") and not resource.unconditional_update:
            message = "Invalid value: 0x0: must be specified for an update"
            cause = ("metadata.resourceVersion", "FieldValueInvalid", message)
            raise errors.invalid(resource.kind, resource.group, name, [cause])
        return self._replace(stored, body, subresource, dry_run=dry_run)

    def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        change: Callable[[JsonObject], Any],
        *,
        subresource: str = "",
        dry_run: bool = False,
    ) -> JsonObject:
        """Replace an object, or its status, by what `change` makes of it (PATCH)."""
        stored = self.find(resource, namespace, name)
        body = _typed(resource, change(stored.body))
        if (body.get("metadata") or {}).get("name") != name:
            raise errors.bad_request("the name of the object does not match the name on the URL")
        return self._replace(stored, body, subresource, dry_run=dry_run)

    def _replace(self, stored: Stored, body: JsonObject, subresource: str, *, dry_run: bool) -> JsonObject:
        resource, old = stored.resource, stored.body
        _check_preconditions(stored, body.get("metadata") or {})
        metadata = _kept_metadata(old["metadata"], body.get("metadata") or {})
        if subresource == "status":
            replaced = {**old, "metadata": {**metadata, "labels": old["metadata"].get("labels")}}
            if "status" in body:
                replaced["status"] = body["status"]
        else:
            replaced = {**body, "metadata": metadata}
            if "status" in resource.subresources:
                replaced["status"] = old.get("status", {})
        replaced["metadata"] = {key: value for key, value in replaced["metadata"].items() if value not in (None, {})}
        replaced = with_defaults(replaced)
        validate(resource, replaced, old)
        if not subresource and _generation_moves(resource, old, replaced):
            replaced["metadata"]["generation"] = old["metadata"]["generation"] + 1
        if replaced == old:
            return old
        return replaced if dry_run else self.store.put(resource, replaced).body

    def scale(self, resource: Resource, namespace: str, name: str) -> JsonObject:
        """Return the `Scale` of an object."""
        return scale_of(self.find(resource, namespace, name).body)

    def update_scale(
        self, resource: Resource, namespace: str, name: str, body: Any, *, dry_run: bool = False
    ) -> JsonObject:
        """Set the number of replicas through a `Scale`."""
        check_shape(body, "Scale")
        stored = self.find(resource, namespace, name)
        _check_preconditions(stored, body.get("metadata") or {})
        replicas = (body.get("spec") or {}).get("replicas") or 0
        if replicas < 0:
            raise negative_scale(name, replicas)
        scaled = {**stored.body, "spec": {**stored.body["spec"], "replicas": replicas}}
        return scale_of(self._replace(stored, scaled, "", dry_run=dry_run))

    def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        options: Mapping[str, Any] | None = None,
        *,
        dry_run: bool = False,
    ) -> JsonObject:
        """Delete an object; pods on a node and namespaces are only marked, their controllers remove them.

        Args:
            options: A `DeleteOptions` object: preconditions, propagation policy, grace period.
        """
        options = options or {}
        stored = self.find(resource, namespace, name)
        _check_preconditions(stored, options.get("preconditions") or {})
        if dry_run:
            return stored.body
        if options.get("propagationPolicy") == "Orphan" or options.get("orphanDependents"):
            for child in self.store.owned_by(stored.uid):
                self._orphan(child, stored.uid)
        grace = options.get("gracePeriodSeconds", stored.body.get("spec", {}).get("terminationGracePeriodSeconds", 0))
        if resource is NAMESPACES:
            return self._terminating(stored, 0, {**stored.body["status"], "phase": "Terminating"})
        if resource is PODS and grace and stored.body["spec"].get("nodeName"):
            return self._terminating(stored, grace, stored.body["status"])
        return self.store.remove(stored).body

    def _terminating(self, stored: Stored, grace: int, status: JsonObject) -> JsonObject:
        if "deletionTimestamp" in stored.metadata:
            return stored.body
        metadata = {**stored.metadata, "deletionTimestamp": timestamp(self._clock.now() + timedelta(seconds=grace))}
        if stored.resource is PODS:
            metadata["deletionGracePeriodSeconds"] = grace
        return self.store.put(stored.resource, {**stored.body, "metadata": metadata, "status": status}).body

    def _orphan(self, child: Stored, owner: str) -> None:
        references = [reference for reference in child.metadata["ownerReferences"] if reference["uid"] != owner]
        metadata = {**child.metadata, "ownerReferences": references}
        self.store.put(child.resource, {**child.body, "metadata": metadata})


def scale_of(body: JsonObject) -> JsonObject:
    """Return the `Scale` that presents a Deployment or ReplicaSet."""
    fields = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {field: body["metadata"][field] for field in fields if field in body["metadata"]},
        "spec": {"replicas": body["spec"]["replicas"]} if body["spec"]["replicas"] else {},
        "status": {"replicas": body["status"].get("replicas", 0), "selector": selector_text(body["spec"]["selector"])},
    }


def _typed(resource: Resource, body: Any) -> JsonObject:
    """Return `body` as an object of the type, without the nulls that mean absent."""
    check_shape(body, resource.kind)
    kind, version = body.get("kind", resource.kind), body.get("apiVersion", resource.group_version)
    if (kind, version) != (resource.kind, resource.group_version):
        if kind == resource.kind:
            raise errors.bad_request(
                f"the API version in the data ({version}) does not match the expected API version "
                f"({resource.group_version})"
            )
        raise errors.bad_request(
            f'{kind} in version "{version}" cannot be handled as a {resource.kind}: no kind "{kind}" is registered'
        )
    cleaned: JsonObject = _without_nulls(body)
    return {"kind": resource.kind, "apiVersion": resource.group_version, **cleaned}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _check_preconditions(stored: Stored, wanted: Mapping[str, Any]) -> None:
    name = stored.key[1]
    if (uid := wanted.get("uid")) and uid != stored.uid:
        cause = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {stored.uid}"
        raise errors.conflict(stored.resource, name, cause)
    if (version := wanted.get("resourceVersion")) and version != str(stored.version):
        raise errors.conflict(stored.resource, name)


def _kept_metadata(old: JsonObject, new: JsonObject) -> JsonObject:
    kept = {key: old[key] for key in (*_OWN_METADATA, "name", "namespace", "resourceVersion") if key in old}
    return {**{key: value for key, value in new.items() if key not in _OWN_METADATA}, **kept}


def _generation_moves(resource: Resource, old: JsonObject, new: JsonObject) -> bool:
    if not resource.spec_versioned:
        return False
    if resource.annotations_versioned and old["metadata"].get("annotations") != new["metadata"].get("annotations"):
        return True
    return bool(old["spec"] != new["spec"])
