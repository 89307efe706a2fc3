"""`rollback-release`: a model's release goes back as a whole, in the registry and in the cluster, as one plan.

The registry first: pods that look up what to load while they start have to find the earlier version there, and else
begin with the broken one again; it takes a second or two of the minutes that the rollout takes. Each half is what
`restore` and `rollback` do by themselves. What is so already is left out, so that the same plan finishes what stopped
half-way.
"""

import re
from collections.abc import Mapping
from typing import Final

from mlops_tui.domain.base import RowKind
from mlops_tui.domain.errors import ConfigError
from mlops_tui.domain.operation import Concern, PlanField, PlanRequest
from mlops_tui.operations import models
from mlops_tui.operations.base import Draft, Parameter, Place, Verb
from mlops_tui.operations.journal import Record
from mlops_tui.operations.restore import NOBODY, Restore, past_of
from mlops_tui.operations.rollback import Rollback, revisions
from mlops_tui.operations.rollouts import DEPLOYMENTS, Target, find
from mlops_tui.operations.systems import Json

MODEL_LABELS: Final = ("model", "model-name", "model_name")
VERSION_LABELS: Final = ("model-version", "model_version")
"""Labels, whatever their prefix, by which a pod says what it serves."""
MODEL_VARIABLE, VERSION_VARIABLE = "MODEL_NAME", "MODEL_VERSION"
_VERSION: Final = re.compile(r"v?(\d+)")
_TAG: Final = re.compile(r":v(\d+)(?:-[^/:]*)?$")


class RollbackRelease(Verb):
    """Makes the earlier version the one that is meant to serve, and the one that does."""

    name = "rollback-release"
    kind = RowKind.ROLLOUT
    target = "NAMESPACE/NAME of a Deployment, or MODEL"
    summary = "Go back to the version before, in the registry and in the cluster"
    parameters = (Parameter("to_version", "the model version; the one that served before if not given"),)

    async def plan(self, request: PlanRequest, place: Place) -> Draft:
        deployment, model = await _release(request, place)
        environment = deployment.environment
        kept = {number: version_of(body["spec"]["template"]) for number, body in (await revisions(deployment)).items()}
        present = await models.find(place, environment, model, NOBODY)
        deployed = version_of(deployment.body["spec"]["template"])
        version = self._version(request) or _before(
            present.serving.holder, deployed, past_of(present, place).before, kept
        )
        asked = request.model_copy(update={"environment": environment})
        registry = await Restore().plan(_part(asked, "restore", model, to_version=version), place)
        revision = next((number for number, each in reversed(kept.items()) if each == version and version), None)
        cluster = await Rollback().plan(_part(asked, "rollback", deployment.address, to_revision=revision or 0), place)
        same = deployed == version != NOBODY
        refusals = [*registry.refusals, *(() if same else cluster.refusals)]
        if revision is None and not same and version:
            refusals.append(_not_kept(version, kept))
        word = f"v{version}" if version else "what served before"
        return Draft(
            title=f"Roll the release of {model} in {environment} back to {word}",
            name=deployment.address if "/" in request.target else model,
            environment=environment,
            fields=tuple(_noted(field, kept) for field in registry.fields),
            changes=(*registry.changes, *(() if same or revision is None else cluster.changes)),
            warnings=(*registry.warnings, *cluster.warnings, *_apart(present.serving.holder, deployed)),
            refusals=tuple(refusals),
            idle=f"{registry.idle}, and {deployment.address} runs it" if registry.idle and same else "",
            steps=() if refusals else (*(() if registry.idle else registry.steps), *(() if same else cluster.steps)),
            command="\n".join(
                part.command for part in (registry, cluster) if part.command and not (part is cluster and same)
            ),
            undo=_undo(asked, version, present.serving.holder, deployed),
            lock=deployment.namespace,
            patience=cluster.patience,
            facts={**registry.facts, "deployment": deployment.address, "revision": str(revision or "")},
        )

    async def happened(self, record: Record, place: Place) -> bool | None:
        registry = await Restore().happened(
            record.model_copy(update={"request": record.request.model_copy(update={"target": record.facts["model"]})}),
            place,
        )
        deployment = await find(
            PlanRequest(verb=self.name, target=record.facts["deployment"], environment=record.environment), place
        )
        cluster = version_of(deployment.body["spec"]["template"]) == int(record.facts["version"])
        return registry if registry is cluster else None

    def _version(self, request: PlanRequest) -> int:
        text = self.parameter(request, "to_version")
        found = _VERSION.fullmatch(text)
        if text and (found is None or not int(found[1])):
            raise ConfigError(f"{self.name} {request.target}: {text} is no version", "such as --to-version 12")
        return int(found[1]) if found else NOBODY


def version_of(template: Json) -> int | None:
    """Return the model version that a pod template serves, by its label, its variable or its image's tag."""
    labels = (template.get("metadata") or {}).get("labels") or {}
    containers = template["spec"].get("containers") or ()
    said = [value for key, value in labels.items() if key.rpartition("/")[2] in VERSION_LABELS]
    said += [
        each.get("value", "") for c in containers for each in c.get("env") or () if each["name"] == VERSION_VARIABLE
    ]
    for text in said:
        if found := _VERSION.fullmatch(text):
            return int(found[1])
    tags = [_TAG.search(str(container.get("image", "")).partition("@")[0]) for container in containers]
    return next((int(tag[1]) for tag in tags if tag), None)


def model_of(body: Json) -> str:
    """Return the model that a Deployment serves, by its labels or its variable; empty where neither says it."""
    template = body["spec"]["template"]
    for holder in (template, body):
        labels = (holder.get("metadata") or {}).get("labels") or {}
        for key, value in labels.items():
            if key.rpartition("/")[2] in MODEL_LABELS:
                return str(value)
    containers = template["spec"].get("containers") or ()
    variables = [each for container in containers for each in container.get("env") or ()]
    return next((str(each.get("value", "")) for each in variables if each["name"] == MODEL_VARIABLE), "")


async def _release(request: PlanRequest, place: Place) -> tuple[Target, str]:
    """Return the Deployment and the model of a release, whichever of them the request names.

    Raises:
        ConfigError: The other one cannot be told.
    """
    if "/" in request.target:
        deployment = await find(request, place)
        if model := model_of(deployment.body):
            return deployment, model
        raise ConfigError(
            f"{request.target}: nothing says which model it serves", f"a label {MODEL_LABELS[0]}, or ${MODEL_VARIABLE}"
        )
    environment = models.serving_environment(request, place)
    settings = place.environments[environment]
    cluster = place.systems.cluster(environment)
    found = [
        Target(cluster, place.clock, environment, settings.context, body)
        for namespace in settings.namespaces
        if namespace != "*"
        for body in await cluster.find(DEPLOYMENTS, namespace)
        if model_of(body) == request.target and not _is_canary(body)
    ]
    if len(found) != 1:
        known = ", ".join(target.address for target in found)
        what = f"several Deployments serve it: {known}" if found else f"no Deployment in {environment} serves it"
        raise ConfigError(f"{request.verb} {request.target}: {what}", "name the Deployment: NAMESPACE/NAME")
    return found[0], request.target


def _is_canary(body: Json) -> bool:
    labels = (body["spec"]["template"].get("metadata") or {}).get("labels") or {}
    return labels.get("track") == "canary" or str(body["metadata"]["name"]).endswith("-canary")


def _before(holder: int | None, deployed: int | None, told: int, kept: Mapping[int, int | None]) -> int:
    """Return the version to go back to.

    Where the registry and the cluster disagree, one of them is ahead, or has gone back already: the earlier one.
    """
    if holder and deployed and holder != deployed:
        return min(holder, deployed)
    ran = (version for version in reversed(list(kept.values())) if version and version != deployed)
    return told or next(ran, NOBODY)


def _part(request: PlanRequest, verb: str, target: str, **parameters: int) -> PlanRequest:
    given = {name: str(value) for name, value in parameters.items() if value}
    return request.model_copy(update={"verb": verb, "target": target, "parameters": given})


def _noted(field: PlanField, kept: Mapping[int, int | None]) -> PlanField:
    """Return the field for the version, each with the revision that ran it."""
    choices = []
    for choice in field.choices:
        numbers = [str(number) for number, version in kept.items() if str(version) == choice.value]
        ran = f"revision {numbers[-1]}" if numbers else "no revision is kept"
        choices.append(choice.model_copy(update={"note": "; ".join(filter(None, (choice.note, ran)))}))
    return field.model_copy(update={"choices": tuple(choices)})


def _not_kept(version: int, kept: Mapping[int, int | None]) -> Concern:
    known = ", ".join(f"v{each}" for each in dict.fromkeys(reversed(list(kept.values()))) if each)
    hint = f"revisions are kept of: {known}" if known else "no revision says which model version it ran"
    return Concern(text=f"no revision is kept that ran v{version}", hint=hint)


def _apart(holder: int | None, deployed: int | None) -> tuple[Concern, ...]:
    if not holder or not deployed or holder == deployed:
        return ()
    return (Concern(text=f"the registry says v{holder}, and v{deployed} is deployed", hint="one half is so already"),)


def _undo(request: PlanRequest, version: int, *present: int | None) -> PlanRequest | None:
    back = next((each for each in present if each not in (None, version)), None)
    if back is None:
        return None
    return request.model_copy(update={"parameters": {"to_version": str(back)}})
