"""The rules of a place, the same for every verb: read-only, freezes, protected environments, failed gates.

Everything here is asked twice: for the plan, so that it can say what will be demanded, and again when it is executed.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from mlops_tui.config.settings import EnvironmentSettings, FreezeSettings
from mlops_tui.domain.clock import Clock
from mlops_tui.domain.errors import Refused
from mlops_tui.domain.operation import Concern, Confirmation, Demand
from mlops_tui.operations.base import Draft, Place


def refusals(draft: Draft, place: Place) -> tuple[Concern, ...]:
    """Return why the rules forbid what a draft would do; those of the draft itself come after."""
    settings = place.environments.get(draft.environment)
    found = list(draft.refusals)
    if place.read_only:
        found.insert(0, Concern(text="this is read-only", hint="start without --read-only to change something"))
    elif settings is not None and settings.read_only:
        found.insert(
            0,
            Concern(
                text=f"{draft.environment} is read-only", hint=f"environments.{draft.environment}.read_only says so"
            ),
        )
    return tuple(found)


def demand(draft: Draft, place: Place) -> Demand:
    """Return what a confirmation of the draft has to hold."""
    settings = place.environments.get(draft.environment)
    because = []
    failed = [gate.name for gate in draft.gates if gate.passed is not True]
    if failed:
        because.append(f"a gate is not passed: {', '.join(failed)}")
    frozen = freeze_at(settings.freezes, place.clock) if settings is not None else None
    if frozen is not None:
        because.append(f"{draft.environment} is frozen until {frozen.until:%Y-%m-%d %H:%M %Z}: {frozen.name}")
    return Demand(
        typed=draft.name if settings is not None and settings.protected else "",
        reason=bool(because),
        because=tuple(because),
        override=frozen.name if frozen is not None else "",
    )


def check(confirmation: Confirmation, demanded: Demand) -> None:
    """Let a confirmation pass that holds what is demanded. Raises `Refused`."""
    if demanded.typed and confirmation.typed.strip() != demanded.typed:
        raise Refused(f"not confirmed: the name is {demanded.typed}", "type the target's name")
    if demanded.override and confirmation.override.strip() != demanded.override:
        raise Refused(f"frozen: {demanded.because[-1]}", f"override it by its name: {demanded.override}")
    if demanded.reason and not confirmation.reason:
        raise Refused(f"a reason is needed: {'; '.join(demanded.because)}", "write one")


class Freeze:
    """A freeze that is in force."""

    def __init__(self, name: str, until: datetime) -> None:
        self.name = name
        self.until = until
        """In the freeze's own time zone."""


def freeze_at(freezes: Mapping[str, FreezeSettings], clock: Clock) -> Freeze | None:
    """Return the freeze that is in force and lasts longest, or `None`."""
    from cronsim import CronSim

    now = clock.now()
    in_force = []
    for name, settings in freezes.items():
        zone, length = ZoneInfo(settings.timezone), timedelta(hours=settings.hours)
        # The first beginning after the moment from which a freeze would still last.
        begin = next(CronSim(settings.begins, now.astimezone(zone) - length), None)
        if begin is not None and begin <= now:
            in_force.append(Freeze(name, begin + length))
    return max(in_force, key=lambda freeze: freeze.until, default=None)


def protected(environments: Mapping[str, EnvironmentSettings], name: str) -> bool:
    """Say whether an environment is one that asks for its target's name."""
    settings = environments.get(name)
    return settings is not None and settings.protected
