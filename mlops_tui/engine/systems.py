"""Which system stands behind an environment, for operations."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from mlops_tui.domain.errors import ConfigError
from mlops_tui.operations.systems import ClusterSystem, ForgeSystem, RegistrySystem

System = TypeVar("System")


@dataclass(frozen=True, slots=True)
class SourceSystems:
    """Implements `Systems` over the sources of an engine, by environment."""

    clusters: Mapping[str, ClusterSystem]
    registries: Mapping[str, RegistrySystem]
    github: ForgeSystem

    def cluster(self, environment: str) -> ClusterSystem:
        return _of(self.clusters, environment, "cluster")

    def registry(self, environment: str) -> RegistrySystem:
        return _of(self.registries, environment, "registry")

    def forge(self) -> ForgeSystem:
        return self.github


def _of(known: Mapping[str, System], environment: str, what: str) -> System:
    if environment in known:
        return known[environment]
    distinct = list({id(system): system for system in known.values()}.values())
    if not environment and len(distinct) == 1:
        return distinct[0]
    raise ConfigError(f"no {what} belongs to {environment or 'no environment'}", f"there are: {', '.join(known)}")
