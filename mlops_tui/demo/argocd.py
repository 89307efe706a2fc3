"""Argo CD as the world knows it: what is in Git is what runs, whoever changed it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from mlops_tui.demo.kubernetes import ApiError, Cluster
from mlops_tui.domain.clock import Clock

NAMESPACE: Final = "argocd"
TRACKING: Final = "argocd.argoproj.io/tracking-id"
INSTANCE: Final = "app.kubernetes.io/instance"
LOOK_SECONDS: Final = 2.5
SELF_HEAL_SECONDS: Final = 7.0
"""From a difference's being seen to its being undone: `--self-heal-timeout-seconds` and the time of a sync."""
_EVENTS_KEPT: Final = 20
_HISTORY_KEPT: Final = 10
_CONTROLLER: Final = "argocd-application-controller"

JsonObject = dict[str, Any]


@dataclass(slots=True)
class _Application:
    """An application of one Deployment.

    Attributes:
        commits: What Git had: manifests with their revisions, the present one last.
        drifted_at: Since when (monotonic) something else runs, if so.
    """

    namespace: str
    name: str
    repository: str
    commits: list[tuple[JsonObject, str]] = field(default_factory=list)
    drifted_at: float | None = None
    synced: int = 0

    @property
    def manifest(self) -> JsonObject:
        return self.commits[-1][0]

    @property
    def revision(self) -> str:
        return self.commits[-1][1]


class ArgoCD:
    """Applies what is committed, and undoes what somebody changes by hand."""

    def __init__(self, clock: Clock, cluster: Cluster) -> None:
        self._clock = clock
        self._cluster = cluster
        self._applications: dict[tuple[str, str], _Application] = {}
        self._events: list[str] = []
        self._recorded = 0

    def manage(self, namespace: str, name: str, repository: str) -> None:
        """Let a Deployment be what is in Git, as soon as something is committed for it."""
        self._applications[namespace, name] = _Application(namespace, name, repository)

    def manages(self, namespace: str, name: str) -> bool:
        """Say whether a Deployment is one that Git decides about."""
        return (namespace, name) in self._applications

    def in_sync(self, namespace: str, name: str) -> bool:
        """Say whether a Deployment was what Git has when somebody last looked."""
        return self._applications[namespace, name].drifted_at is None

    def commit(self, manifest: JsonObject, revision: str) -> None:
        """Commit a Deployment's manifest, which syncs it; what it leaves out stays what it was.

        Raises:
            ApiError: The cluster refuses the manifest.
        """
        metadata = manifest["metadata"]
        application = self._applications[metadata["namespace"], metadata["name"]]
        spec = dict(manifest["spec"])
        if "replicas" not in spec and application.commits:
            spec["replicas"] = application.manifest["spec"].get("replicas")
        marks = {
            "labels": {**metadata.get("labels", {}), INSTANCE: application.name},
            "annotations": {
                **metadata.get("annotations", {}),
                TRACKING: f"{application.name}:apps/Deployment:{application.namespace}/{application.name}",
            },
        }
        application.commits.append(({**manifest, "metadata": {**metadata, **marks}, "spec": spec}, revision))
        del application.commits[:-_HISTORY_KEPT]
        self._sync(application, "")

    def scale(self, namespace: str, name: str, replicas: int, revision: str) -> None:
        """Commit another number of replicas."""
        manifest = self._applications[namespace, name].manifest
        self.commit({**manifest, "spec": {**manifest["spec"], "replicas": replicas}}, revision)

    def revert(self, namespace: str, name: str) -> bool:
        """Commit the template before the present one again; false if there is none."""
        application = self._applications[namespace, name]
        now = application.manifest["spec"]["template"]
        for manifest, revision in reversed(application.commits):
            if manifest["spec"]["template"] != now:
                self.commit(manifest, revision)
                return True
        return False

    async def run(self) -> None:
        """Look after everything until cancelled."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            for application in self._applications.values():
                if application.commits:
                    self._look(application)

    def _look(self, application: _Application) -> None:
        drift = self._drift(application)
        now = self._clock.monotonic()
        if drift is None:
            if application.drifted_at is not None:
                # Somebody put it back.
                application.drifted_at = None
                self._report(application, "Synced", "")
        elif application.drifted_at is None:
            application.drifted_at = now
            self._report(application, "OutOfSync", drift)
        elif now - application.drifted_at >= SELF_HEAL_SECONDS:
            try:
                self._sync(application, drift)
            except ApiError as error:
                self._report(application, "OutOfSync", error.message)

    def _drift(self, application: _Application) -> str | None:
        """Say what of a Deployment is not what Git has."""
        live = self._cluster.get("Deployment", application.namespace, application.name)
        if live is None:
            return "the Deployment is missing"
        wanted, spec = application.manifest["spec"], live["spec"]
        if wanted.get("replicas") not in (None, spec["replicas"]):
            return f"spec.replicas: {spec['replicas']} instead of {wanted['replicas']}"
        container, other = (each["template"]["spec"]["containers"][0] for each in (wanted, spec))
        if container["image"] != other["image"]:
            return f"image: {other['image']} instead of {container['image']}"
        if container.get("env") != other.get("env"):
            return "the environment of the container"
        return None

    def _sync(self, application: _Application, drift: str) -> None:
        self._cluster.apply(application.manifest)
        application.synced += 1
        application.drifted_at = None
        self._report(application, "Synced", drift)
        message = f"Sync operation to {application.revision[:7]} succeeded"
        if drift:
            message = f"{message}: undid a change by hand ({drift})"
        self._record(application, message)

    def _report(self, application: _Application, sync: str, drift: str) -> None:
        """Write the Application's status."""
        now, old = _timestamp(self._clock.now()), self._cluster.get("Application", NAMESPACE, application.name) or {}
        history = old.get("status", {}).get("history", [])
        if not history or history[-1]["id"] != application.synced:
            history = [*history, {"id": application.synced, "revision": application.revision, "deployedAt": now}]
        conditions = []
        if drift:
            verb = "differs from Git" if sync == "OutOfSync" else "differed from Git and was undone"
            message = f"{application.name} {verb}: {drift}"
            conditions = [{"type": "SelfHeal", "message": message, "lastTransitionTime": now}]
        status = {
            "sync": {"status": sync, "revision": application.revision},
            "health": {"status": "Healthy"},
            "history": history[-_HISTORY_KEPT:],
            "conditions": conditions,
            "reconciledAt": now,
            "resources": [
                {"group": "apps", "version": "v1", "kind": "Deployment", "namespace": application.namespace,
                 "name": application.name, "status": sync}
            ],
        }  # fmt: skip
        spec = {
            "project": "default",
            "source": {
                "repoURL": f"https://github.com/{application.repository}.git",
                "path": "deploy/production",
                "targetRevision": "main",
            },
            "destination": {"server": "https://kubernetes.default.svc", "namespace": application.namespace},
            "syncPolicy": {"automated": {"prune": True, "selfHeal": True}},
        }
        metadata = {"name": application.name, "namespace": NAMESPACE}
        body = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": metadata, "spec": spec}
        self._cluster.apply({**body, "status": status})

    def _record(self, application: _Application, message: str) -> None:
        """Record an Event on the Deployment."""
        live = self._cluster.get("Deployment", application.namespace, application.name)
        if live is None:
            return
        self._recorded += 1
        now, name = _timestamp(self._clock.now()), f"{application.name}.argocd{self._recorded:010x}"
        metadata = live["metadata"]
        about = {key: metadata[key] for key in ("name", "namespace", "uid", "resourceVersion")}
        self._cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": name, "namespace": application.namespace},
                "involvedObject": {"apiVersion": "apps/v1", "kind": "Deployment", **about},
                "reason": "OperationCompleted",
                "message": message,
                "source": {"component": _CONTROLLER},
                "firstTimestamp": now,
                "lastTimestamp": now,
                "count": 1,
                "type": "Normal",
            }
        )
        self._events.append(name)
        for old in self._events[:-_EVENTS_KEPT]:
            if self._cluster.get("Event", application.namespace, old) is not None:
                self._cluster.delete("Event", application.namespace, old)
        del self._events[:-_EVENTS_KEPT]


def _timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
