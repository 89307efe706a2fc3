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
from mlops_tui.demo.kubernetes.apply import (
    Manager,
    Managers,
    applied_first,
    apply,
    check_configuration,
    created_by,
    managers_of,
    updated_by,
    with_managers,
)
from mlops_tui.demo.kubernetes.bodies import (
    OWN_METADATA,
    check_address,
    check_unchanged,
    generation_moves,
    kept_metadata,
    typed,
)
from mlops_tui.demo.kubernetes.defaults import complete
from mlops_tui.demo.kubernetes.deletion import check_options, check_preconditions, finalizers_for, finished
from mlops_tui.demo.kubernetes.fields import rules_of
from mlops_tui.demo.kubernetes.jsonpath import with_path
from mlops_tui.demo.kubernetes.resources import NAMESPACES, PODS, SERVICES, Resource
from mlops_tui.demo.kubernetes.scale import scale_of, scale_paths
from mlops_tui.demo.kubernetes.store import JsonObject, Store, Stored
from mlops_tui.demo.kubernetes.validation import check_shape, negative_scale, validate
from mlops_tui.domain.clock import Clock

NAME_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""Letters of generated names: no vowels and nothing that looks like another, as in the real server."""
GRACE_SECONDS = 30


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

    def create(
        self,
        resource: Resource,
        namespace: str,
        body: Any,
        *,
        manager: str = "",
        applied: Managers | None = None,
        dry_run: bool = False,
    ) -> JsonObject:
        """Create an object from what a client sent.

        Args:
            manager: Who is recorded as the manager of its fields; empty records nobody.
            applied: Its managers, when it is created by applying.
        """
        body = typed(resource, body)
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
            **{key: value for key, value in metadata.items() if key not in OWN_METADATA},
            "uid": self.uid(),
            "creationTimestamp": timestamp(self._clock.now()),
            **({"generation": 1} if resource.spec_versioned else {}),
        }
        # A custom resource without a status subresource has its status like any other field.
        dropped = "" if resource.definition is not None and "status" not in resource.subresources else "status"
        fresh = {key: value for key, value in body.items() if key != dropped}
        created = complete(resource, {**fresh, "metadata": metadata})
        validate(resource, created)
        if resource.namespaced:
            self._check_namespace(resource, namespace, metadata["name"])
        if self.store.get(resource, metadata.get("namespace", ""), metadata["name"]) is not None:
            raise errors.already_exists(resource, metadata["name"])
        if resource is SERVICES:
            created = {**created, "spec": self._addressed(created["spec"])}
        if applied is None and manager:
            writer = Manager("Update", manager, resource.group_version)
            applied = created_by(writer, created, rules_of(resource), metadata["creationTimestamp"])
        created = with_managers(created, applied or {})
        return created if dry_run else self.store.put(resource, created).body

    def _check_namespace(self, resource: Resource, namespace: str, name: str) -> None:
        found = self.store.get(NAMESPACES, "", namespace)
        if found is None:
            raise errors.not_found(NAMESPACES, namespace)
        if "deletionTimestamp" in found.metadata:
            raise errors.namespace_terminating(resource, name, namespace)

    def _addressed(self, spec: JsonObject) -> JsonObject:
        if spec.get("clusterIP") or spec["type"] == "ExternalName":
            return spec
        address = f"10.96.{self._random.randrange(256)}.{self._random.randrange(1, 255)}"
        families = {"ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "internalTrafficPolicy": "Cluster"}
        return {**families, **spec, "clusterIP": address, "clusterIPs": [address]}

    def update(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        body: Any,
        *,
        subresource: str = "",
        manager: str = "",
        dry_run: bool = False,
    ) -> JsonObject:
        """Replace an object, or with `subresource="status"` its status (PUT)."""
        body = typed(resource, body)
        metadata = body.get("metadata") or {}
        check_address(metadata, namespace, name)
        stored = self.store.get(resource, namespace, name)
        if stored is None and resource.create_on_update and not subresource:
            return self.create(resource, namespace, body, manager=manager, dry_run=dry_run)
        if stored is None:
            raise errors.not_found(resource, name)
        if not metadata.get("resourceVersion") and not resource.unconditional_update:
            message = "Invalid value: 0x0: must be specified for an update"
            cause = ("metadata.resourceVersion", "FieldValueInvalid", message)
            raise errors.invalid(resource.plural, resource.group, name, [cause])
        return self._replace(stored, body, subresource, _writer(resource, manager, subresource), dry_run=dry_run)

    def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        change: Callable[[JsonObject], Any],
        *,
        subresource: str = "",
        manager: str = "",
        dry_run: bool = False,
    ) -> JsonObject:
        """Replace an object, or its status, by what `change` makes of it (PATCH)."""
        stored = self.find(resource, namespace, name)
        body = typed(resource, change(stored.body))
        if (body.get("metadata") or {}).get("name") != name:
            raise errors.bad_request("the name of the object does not match the name on the URL")
        return self._replace(stored, body, subresource, _writer(resource, manager, subresource), dry_run=dry_run)

    def apply(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        configuration: Any,
        manager: str,
        *,
        force: bool = False,
        dry_run: bool = False,
    ) -> tuple[JsonObject, bool]:
        """Apply a configuration on the server's side; also return whether that created the object.

        Args:
            force: Take over what others manage.

        Raises:
            ApiError: Also 409 when the configuration would change what others manage.
        """
        body = typed(resource, check_configuration(configuration, resource.group_version))
        metadata = body.get("metadata") or {}
        check_address(metadata, namespace, name)
        if "status" in resource.subresources:
            body.pop("status", None)
        writer, rules = Manager("Apply", manager, resource.group_version), rules_of(resource)
        now = timestamp(self._clock.now())
        stored = self.store.get(resource, namespace, name)
        if stored is None:
            managers = applied_first(body, writer, rules, now)
            fresh = {key: value for key, value in metadata.items() if key != "resourceVersion"}
            body["metadata"] = {**fresh, "name": name}
            return self.create(resource, namespace, body, applied=managers, dry_run=dry_run), True
        check_unchanged(stored, metadata)
        result = apply(stored.body, body, writer, rules, now, force=force)
        return self._replace(stored, result.body, "", writer, applied=result.managers, dry_run=dry_run), False

    def _replace(
        self,
        stored: Stored,
        body: JsonObject,
        subresource: str,
        writer: Manager | None,
        *,
        applied: Managers | None = None,
        dry_run: bool,
    ) -> JsonObject:
        resource, old = stored.resource, stored.body
        check_unchanged(stored, body.get("metadata") or {})
        metadata = kept_metadata(old["metadata"], body.get("metadata") or {})
        if subresource == "status":
            if resource.definition is not None:
                metadata = dict(old["metadata"])
            replaced = {**old, "metadata": {**metadata, "labels": old["metadata"].get("labels")}}
            if "status" in body:
                replaced["status"] = body["status"]
        else:
            replaced = {**body, "metadata": metadata}
            if "status" in resource.subresources:
                replaced |= {"status": old["status"]} if "status" in old else {}
                if "status" not in old:
                    replaced.pop("status", None)
        replaced["metadata"] = {key: value for key, value in replaced["metadata"].items() if value not in (None, {})}
        replaced = complete(resource, replaced)
        validate(resource, replaced, old)
        if applied is None:
            # What clients send back without its managers keeps them.
            applied = managers_of(body if (body.get("metadata") or {}).get("managedFields") else old)
            if writer is not None:
                now = timestamp(self._clock.now())
                applied = updated_by(writer, applied, old, replaced, rules_of(resource), now)
        replaced = with_managers(replaced, applied)
        if not subresource and generation_moves(resource, old, replaced):
            replaced["metadata"]["generation"] = old["metadata"]["generation"] + 1
        if replaced == old:
            return old
        if dry_run:
            return replaced
        if finished(replaced):
            self.store.remove(stored)
            return replaced
        return self.store.put(resource, replaced).body

    def scale(self, resource: Resource, namespace: str, name: str) -> JsonObject:
        """Return the `Scale` of an object."""
        return scale_of(resource, self.find(resource, namespace, name).body)

    def update_scale(
        self, resource: Resource, namespace: str, name: str, body: Any, *, manager: str = "", dry_run: bool = False
    ) -> JsonObject:
        """Set the number of replicas through a `Scale`."""
        check_shape(body, "Scale")
        stored = self.find(resource, namespace, name)
        check_unchanged(stored, body.get("metadata") or {})
        replicas = (body.get("spec") or {}).get("replicas") or 0
        if replicas < 0:
            raise negative_scale(resource, name, replicas)
        paths = scale_paths(resource)
        scaled = with_path(stored.body, paths["specReplicasPath"], replicas)
        writer = _writer(resource, manager, "scale")
        return scale_of(resource, self._replace(stored, scaled, "", writer, dry_run=dry_run))

    def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        options: Mapping[str, Any] | None = None,
        *,
        dry_run: bool = False,
    ) -> JsonObject:
        """Delete an object, or mark it as deleted when something is to happen before it goes.

        Pods on a node are ended by their kubelet, namespaces emptied first, and finalizers hold up anything.

        Args:
            options: A `DeleteOptions` object: preconditions, propagation policy, grace period.

        Returns:
            The object; it has a `deletionTimestamp` if it is still there.
        """
        options = options or {}
        check_options(options)
        stored = self.find(resource, namespace, name)
        check_preconditions(stored, options.get("preconditions") or {})
        if resource is NAMESPACES:
            marked = self._emptying(stored)
        else:
            finalizers, grace = finalizers_for(stored, options), self._grace(stored, options)
            if not (grace or finalizers):
                return stored.body if dry_run else self.store.remove(stored).body
            marked = self._marked(stored, grace, finalizers)
        if marked == stored.body or dry_run:
            return marked
        return self.store.put(resource, marked).body

    @staticmethod
    def _grace(stored: Stored, options: Mapping[str, Any]) -> int:
        """Return the seconds that an object has left: none, unless it is a pod on a node."""
        if stored.resource is not PODS or not stored.body["spec"].get("nodeName"):
            return 0
        grace: int = options.get("gracePeriodSeconds", stored.body["spec"].get("terminationGracePeriodSeconds", 0))
        # Whoever deletes again can shorten the time only.
        left: int = stored.metadata.get("deletionGracePeriodSeconds", grace)
        return min(grace, left)

    def _marked(self, stored: Stored, grace: int, finalizers: list[str]) -> JsonObject:
        metadata = {key: value for key, value in stored.metadata.items() if key != "finalizers"}
        if finalizers:
            metadata["finalizers"] = finalizers
        if metadata.get("deletionGracePeriodSeconds") != grace or "deletionTimestamp" not in metadata:
            metadata["deletionTimestamp"] = timestamp(self._clock.now() + timedelta(seconds=grace))
            metadata["deletionGracePeriodSeconds"] = grace
            if "generation" in metadata:
                metadata["generation"] += 1
        return {**stored.body, "metadata": metadata}

    def _emptying(self, namespace: Stored) -> JsonObject:
        if "deletionTimestamp" in namespace.metadata:
            return namespace.body
        metadata = {**namespace.metadata, "deletionTimestamp": timestamp(self._clock.now())}
        return {**namespace.body, "metadata": metadata, "status": {**namespace.body["status"], "phase": "Terminating"}}

    def finalize(self, stored: Stored, finalizer: str) -> None:
        """Take a finalizer off an object that is being deleted; when it was the last, the object goes."""
        finalizers = [each for each in stored.metadata["finalizers"] if each != finalizer]
        body = self._marked(stored, stored.metadata["deletionGracePeriodSeconds"], finalizers)
        if finished(body):
            self.store.remove(stored)
        else:
            self.store.put(stored.resource, body)

    def orphan(self, child: Stored, owner: str) -> None:
        """Free an object from the owner with this uid."""
        references = [reference for reference in child.metadata["ownerReferences"] if reference["uid"] != owner]
        metadata = {key: value for key, value in child.metadata.items() if key != "ownerReferences"}
        if references:
            metadata["ownerReferences"] = references
        self.store.put(child.resource, {**child.body, "metadata": metadata})


def _writer(resource: Resource, manager: str, subresource: str) -> Manager | None:
    return Manager("Update", manager, resource.group_version, subresource) if manager else None
