"""REST: deployments and their statuses, and the environments that they go to."""

from collections.abc import Callable
from typing import Final, get_args

from mlops_tui.demo.github.deployments import DeploymentState
from mlops_tui.demo.github.http import ApiError, Call, Reply, invalid, json_reply, list_reply
from mlops_tui.demo.github.model import Deployment, StoreEvent
from mlops_tui.demo.github.rest_repositories import checks_of
from mlops_tui.demo.github.world import NotFoundError

_FILTERS: Final[dict[str, Callable[[Deployment], str]]] = {
    "sha": lambda deployment: deployment.sha,
    "ref": lambda deployment: deployment.ref,
    "task": lambda deployment: deployment.task,
    "environment": lambda deployment: deployment.environment,
}
_STATES: Final = frozenset(get_args(DeploymentState)) - {"waiting"}
_GOOD: Final = frozenset(("success", "neutral", "skipped"))


def environments(call: Call) -> Reply:
    found = call.repository.environments.values()
    return list_reply(call, [call.payloads.environment(call.repository, entry) for entry in found], "environments")


def environment(call: Call) -> Reply:
    found = call.repository.environments.get(call.params["environment_name"])
    if found is None:
        raise NotFoundError("no such environment")
    return json_reply(call.payloads.environment(call.repository, found))


def deployments(call: Call) -> Reply:
    asked = {name: value for name in _FILTERS if (value := call.query.get(name, "none")) != "none"}
    found = [
        entry
        for entry in call.repository.deployments.values()
        if all(_FILTERS[name](entry) == value for name, value in asked.items())
    ]
    found.sort(key=lambda entry: (entry.created_at, entry.id), reverse=True)
    return list_reply(call, [call.payloads.deployment(entry) for entry in found])


def deployment(call: Call) -> Reply:
    return json_reply(call.payloads.deployment(_deployment(call)))


def statuses(call: Call) -> Reply:
    found = _deployment(call)
    return list_reply(call, [call.payloads.deployment_status(found, entry) for entry in reversed(found.statuses)])


def status(call: Call) -> Reply:
    found, number = _deployment(call), call.number("status_id")
    for entry in found.statuses:
        if entry.id == number:
            return json_reply(call.payloads.deployment_status(found, entry))
    raise NotFoundError(f"no status {number}")


def create(call: Call) -> Reply:
    fields, ref = call.fields, call.text("ref", "Deployment")
    for name in ("environment", "description", "task"):
        if not isinstance(fields.get(name) or "", str):
            raise invalid("Deployment", name)
    if not isinstance(fields.get("production_environment") or False, bool):
        raise invalid("Deployment", "production_environment")
    try:
        commit = call.store.resolve(call.repo, ref)
    except NotFoundError:
        raise ApiError(422, f"No ref found for: {ref[:100]}") from None
    _refuse_if_not_green(call, commit.sha, ref)
    number = call.store.add_deployment(
        call.repo,
        fields.get("environment") or "production",
        ref,
        creator=call.token.login,
        task=fields.get("task") or "deploy",
        description=fields.get("description") or "",
        payload=fields.get("payload"),
        transient=fields.get("transient_environment") is True,
        production=fields.get("production_environment"),
    )
    made = call.store.deployment(call.repo, number)
    _announce(call, made, made.environment)
    payload = call.payloads.deployment(made)
    return json_reply(payload, 201, headers={"location": payload["url"]})


def create_status(call: Call) -> Reply:
    found, fields, state = _deployment(call), call.fields, call.text("state", "DeploymentStatus")
    if state not in _STATES:
        raise invalid("DeploymentStatus", "state")
    for name in ("description", "environment_url", "log_url", "target_url"):
        if not isinstance(fields.get(name) or "", str):
            raise invalid("DeploymentStatus", name)
    number = call.store.set_deployment(
        call.repo,
        found.id,
        state,  # type: ignore[arg-type]
        creator=call.token.login,
        description=fields.get("description") or "",
        environment_url=fields.get("environment_url") or "",
        log_url=fields.get("log_url") or fields.get("target_url") or "",
        retires_others=fields.get("auto_inactive") is not False,
    )
    _announce(call, found, state)
    made = next(entry for entry in found.statuses if entry.id == number)
    payload = call.payloads.deployment_status(found, made)
    return json_reply(payload, 201, headers={"location": payload["url"]})


def _refuse_if_not_green(call: Call, sha: str, ref: str) -> None:
    """Refuse a deployment of a commit whose checks have not all succeeded, or not those that the client names."""
    required = call.fields.get("required_contexts")
    if required is not None and not (isinstance(required, list) and all(isinstance(name, str) for name in required)):
        raise invalid("Deployment", "required_contexts")
    states = {check.name: check.conclusion or check.status for check in checks_of(call.repository, sha)}
    states |= {entry.context: entry.state for entry in call.repository.statuses.get(sha, {}).values()}
    names = list(states) if required is None else required
    contexts = [{"context": name, "state": states.get(name, "missing")} for name in names]
    if any(context["state"] not in _GOOD for context in contexts):
        error = {"resource": "Deployment", "field": "required_contexts", "code": "invalid", "contexts": contexts}
        raise ApiError(409, f"Conflict: Commit status checks failed for {ref[:100]}.", errors=[error])


def _deployment(call: Call) -> Deployment:
    return call.store.deployment(call.repo, call.number("deployment_id"))


def _announce(call: Call, found: Deployment, detail: str) -> None:
    call.store.announce(StoreEvent("deployment", found.repository.full_name, found.id, call.token.login, detail))
