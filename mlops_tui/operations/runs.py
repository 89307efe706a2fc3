"""What the verbs for workflow runs share: finding one, and following it."""

import re
from dataclasses import dataclass
from typing import Final

from mlops_tui.domain.errors import ConfigError, Conflict
from mlops_tui.domain.operation import Concern, PlanRequest
from mlops_tui.operations.base import Place
from mlops_tui.operations.repositories import asked_environment, full_name, not_permitted, read_only
from mlops_tui.operations.systems import ForgeSystem, Json

TARGET: Final = "OWNER/NAME/runs/ID of a workflow run"
NEEDS: Final = "actions: write"
ADDRESS: Final = re.compile(r"(?:([\w.-]+)/)?([\w.-]+)/runs/([1-9][0-9]{0,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Target:
    """A workflow run as it was when the plan was made."""

    forge: ForgeSystem
    repository: str
    environment: str
    login: str
    """As whom we are signed in; empty where the token stands for no person."""
    body: Json

    @property
    def id(self) -> int:
        return int(self.body["id"])

    @property
    def name(self) -> str:
        """What a person calls it."""
        return f"{self.body.get('name') or self.body.get('path') or 'run'} #{self.body['run_number']}"

    @property
    def attempt(self) -> int:
        return int(self.body.get("run_attempt") or 1)

    @property
    def status(self) -> str:
        """GitHub's own: `queued`, `in_progress`, `completed`, `waiting` …"""
        return str(self.body.get("status") or "")

    @property
    def conclusion(self) -> str:
        """GitHub's own: `success`, `failure` …; empty until it is complete."""
        return str(self.body.get("conclusion") or "")

    @property
    def url(self) -> str:
        return str(self.body.get("html_url") or "")

    async def now(self) -> Json:
        """Return it as it is now."""
        return await self.forge.run(self.repository, self.id)


async def find(request: PlanRequest, place: Place) -> Target:
    """Return the run that a request names.

    Raises:
        ConfigError: The target is not of its form, or no repository has the name.
        SourceError: It is not there, or cannot be read.
    """
    address = ADDRESS.fullmatch(request.target)
    if address is None:
        raise ConfigError(
            f"{request.verb} {request.target}: the target is OWNER/NAME/runs/ID", "such as acme/fraud/runs/30433642"
        )
    repository = full_name(request, place, address[1], address[2])
    forge = place.systems.forge()
    environment = asked_environment(request, place)
    login = await forge.identity()
    return Target(forge, repository, environment, login, await forge.run(repository, int(address[3])))


async def unchanged(target: Target, title: str) -> Json:
    """Return the run as it is now. Raises `Conflict` where it has ended, or was begun anew, since the plan."""
    now = await target.now()
    if (int(now.get("run_attempt") or 1), _ended(now)) != (target.attempt, _ended(target.body)):
        raise Conflict(f"{title}: {target.name} is {state_of(now)} now", "plan it again")
    return now


def _ended(run: Json) -> bool:
    return bool(run.get("status") == "completed")


def state_of(run: Json) -> str:
    """Return how a run, or a job, is, in a word: its conclusion once it has one."""
    return str(run.get("conclusion") or run.get("status") or "unknown").replace("_", " ")


async def forbidden(target: Target, place: Place) -> tuple[Concern, ...]:
    """Return why the run cannot be changed."""
    return (
        *await not_permitted(target.forge, target.repository, NEEDS),
        *read_only(target.repository, place),
    )
