"""From settings to an engine: which systems there are, each once, whoever names them."""

import os
from collections.abc import Sequence
from pathlib import Path

from mlops_tui.config.paths import cache_dir, journal_file
from mlops_tui.config.settings import EnvironmentSettings, Settings, nearest
from mlops_tui.domain.clock import Clock, SystemClock
from mlops_tui.domain.errors import ConfigError
from mlops_tui.engine.cache import BoardCache
from mlops_tui.engine.engine import Engine
from mlops_tui.engine.messages import EnvironmentScope, Scope
from mlops_tui.engine.systems import SourceSystems
from mlops_tui.operations.base import Place
from mlops_tui.operations.catalogue import VERBS
from mlops_tui.operations.desk import Desk
from mlops_tui.operations.journal import Journal
from mlops_tui.operations.notify import SlackNotifier
from mlops_tui.sources.base import Source
from mlops_tui.sources.github import GitHubSource, GitHubTarget
from mlops_tui.sources.kubernetes import KubernetesSource, KubernetesTarget
from mlops_tui.sources.mlflow import MlflowSource, MlflowTarget

IMPLICIT = "default"
"""The environment's name where the configuration has none."""
OWN_NAMESPACE = ""
"""Stands for the namespace that the kubeconfig's context names."""


def chosen_environments(settings: Settings, names: Sequence[str]) -> dict[str, EnvironmentSettings]:
    """Return the environments by name: all of them, or those that `names` asks for.

    Raises:
        ConfigError: A name is not in the configuration.
    """
    environments = settings.environments or {IMPLICIT: EnvironmentSettings()}
    for name in names:
        if name not in environments:
            near = nearest(name, list(environments))
            known = f"did you mean {near}?" if near else f"there are: {', '.join(environments)}"
            raise ConfigError(f"--env {name}: no such environment; {known}")
    return {name: environments[name] for name in names} if names else dict(environments)


def scope_of(settings: Settings, names: Sequence[str], *, read_only: bool, config: Path | None) -> Scope:
    """Return what an engine for these settings looks at. Raises `ConfigError`."""
    return Scope(
        environments=tuple(
            EnvironmentScope(name=name, protected=environment.protected, places=_places(environment))
            for name, environment in chosen_environments(settings, names).items()
        ),
        read_only=read_only or settings.read_only,
        config=str(config or ""),
    )


def _places(environment: EnvironmentSettings) -> tuple[str, ...]:
    context = environment.context or "current context"
    return tuple(f"{context}/{namespace}" for namespace in environment.namespaces) or (context,)


def build_engine(
    settings: Settings,
    *,
    environments: Sequence[str] = (),
    read_only: bool = False,
    config: Path | None = None,
    clock: Clock | None = None,
    keep: bool = False,
    operates: bool = False,
) -> Engine:
    """Return an engine, not yet started, for `environments` (all where empty). Raises `ConfigError`.

    Args:
        keep: Whether to begin with the last board, and to keep this one for the next sitting.
        operates: Whether operations can be planned, and where it is not read-only carried out.
    """
    scope = scope_of(settings, environments, read_only=read_only, config=config)
    clock = clock or SystemClock()
    chosen = chosen_environments(settings, environments)
    locked = read_only_environments(settings, chosen, read_only=scope.read_only)
    github = GitHubSource(github_target(settings, chosen, locked), clock)
    clusters = [KubernetesSource(target, clock) for target in kubernetes_targets(settings, chosen, config, locked)]
    # Last: its SDK takes longest to import, and one SDK is imported at a time.
    registries = [MlflowSource(target, clock) for target in mlflow_targets(settings, chosen, locked)]
    sources: list[Source] = [github, *clusters, *registries]
    cache = BoardCache(cache_dir(), *_identity(settings, config, chosen)) if keep else None
    if not operates:
        return Engine(sources, scope, clock=clock, cache=cache)
    systems = SourceSystems(
        {name: source.actor for source in clusters for name in source.info.environments},
        {name: source.actor for source in registries for name in source.info.environments},
        github.actor,
    )
    place = Place(clock, systems, settings, chosen, Journal(journal_file(settings.journal)), scope.read_only)
    return Engine(
        sources,
        scope,
        clock=clock,
        cache=cache,
        desk=lambda tell: Desk(place, VERBS, tell=tell, notify=SlackNotifier(chosen)),
    )


def read_only_environments(
    settings: Settings, chosen: dict[str, EnvironmentSettings], *, read_only: bool
) -> frozenset[str]:
    """Return the environments in which nothing may be changed."""
    everywhere = read_only or settings.read_only
    return frozenset(name for name, environment in chosen.items() if everywhere or environment.read_only)


def _identity(settings: Settings, config: Path | None, chosen: dict[str, EnvironmentSettings]) -> tuple[str, ...]:
    """Return whatever decides which systems are read: a board kept for others must never be shown for these."""
    names = ("KUBECONFIG", "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
    return (
        str(config.resolve()) if config else "",
        str(Path.cwd()),
        settings.model_dump_json(exclude={"ui"}),
        *chosen,
        *(os.environ.get(name, "") for name in names),
    )


def github_target(
    settings: Settings, chosen: dict[str, EnvironmentSettings], locked: frozenset[str] = frozenset()
) -> GitHubTarget:
    """Return the one GitHub target: the repositories of `[github]` and of every environment, each once."""
    named = [*settings.github.repositories, *(r for e in chosen.values() for r in e.repositories)]
    return GitHubTarget(
        source_id="github",
        base_url=settings.github.base_url,
        repositories=tuple(dict.fromkeys(named)),
        token_env=settings.github.token_env,
        runs=settings.github.runs,
        environments=tuple(chosen),
        working_directory=Path.cwd(),
        read_only=locked.issuperset(chosen),
        read_only_repositories=_only_of(locked, settings, chosen),
    )


def _only_of(locked: frozenset[str], settings: Settings, chosen: dict[str, EnvironmentSettings]) -> tuple[str, ...]:
    """Return the repositories that environments name in which nothing may be changed, and no other."""
    closed = {repository for name in locked & chosen.keys() for repository in chosen[name].repositories}
    free = {repository for name in chosen.keys() - locked for repository in chosen[name].repositories}
    return tuple(sorted(closed - free - set(settings.github.repositories)))


def mlflow_targets(
    settings: Settings, chosen: dict[str, EnvironmentSettings], locked: frozenset[str] = frozenset()
) -> list[MlflowTarget]:
    """Return a target for each registry that the environments name."""
    by_uri: dict[str | None, list[str]] = {}
    for name, environment in chosen.items():
        by_uri.setdefault(environment.registry or settings.mlflow.tracking_uri, []).append(name)
    return [
        MlflowTarget(
            source_id="mlflow" if len(by_uri) == 1 else f"mlflow:{names[0]}",
            tracking_uri=uri,
            # An environment's own registry is both; $MLFLOW_REGISTRY_URI would send all of them to one.
            registry_uri=settings.mlflow.registry_uri if uri == settings.mlflow.tracking_uri else uri,
            registry="mlflow" if len(by_uri) == 1 else names[0],
            champion=settings.mlflow.champion,
            models=settings.mlflow.models,
            environments=tuple(names),
            read_only=locked.issuperset(names),
            stages=tuple(chosen[name].stage for name in names),
            aliases=tuple(chosen[name].alias for name in names),
        )
        for uri, names in by_uri.items()
    ]


def kubernetes_targets(
    settings: Settings,
    chosen: dict[str, EnvironmentSettings],
    config: Path | None = None,
    locked: frozenset[str] = frozenset(),
) -> list[KubernetesTarget]:
    """Return a target for each context that the environments name, with the namespaces of all of them.

    Args:
        config: The settings' file, beside which a relative kubeconfig is.
        locked: The environments in which nothing may be changed.

    Raises:
        ConfigError: Two environments claim the same namespace of the same context.
    """
    by_context: dict[str | None, dict[str, str]] = {}
    for name, environment in chosen.items():
        namespaces = by_context.setdefault(environment.context, {})
        for namespace in environment.namespaces or (OWN_NAMESPACE,):
            if (owner := namespaces.setdefault(namespace, name)) != name:
                place = f"{environment.context or 'the current context'}/{namespace or 'its own namespace'}"
                raise ConfigError(f"environments {owner} and {name} both claim {place}", "give each its own namespaces")
    return [
        KubernetesTarget(
            source_id="kubernetes" if len(by_context) == 1 else f"kubernetes:{context or 'current'}",
            kubeconfig=_beside(config, settings.kubernetes.kubeconfig),
            context=context,
            namespaces={name: owner for name, owner in namespaces.items() if name != OWN_NAMESPACE},
            environment=namespaces.get(OWN_NAMESPACE, next(iter(namespaces.values()))),
            read_only=locked.issuperset(namespaces.values()),
            read_only_namespaces=frozenset(name for name, owner in namespaces.items() if owner in locked),
        )
        for context, namespaces in by_context.items()
        if _check_mixed(context, namespaces)
    ]


def _beside(config: Path | None, kubeconfig: str | None) -> str | None:
    if config is None or kubeconfig is None:
        return kubeconfig
    folder = config.resolve().parent
    parts = (part if part.startswith("~") else str(folder / part) for part in kubeconfig.split(os.pathsep) if part)
    return os.pathsep.join(parts)


def _check_mixed(context: str | None, namespaces: dict[str, str]) -> bool:
    if OWN_NAMESPACE in namespaces and len(namespaces) > 1:
        name = namespaces[OWN_NAMESPACE]
        other = next(owner for owner in namespaces.values() if owner != name)
        raise ConfigError(
            f"environments.{name}.namespaces is empty, and {other} shares the context {context or '(current)'}",
            f"name the namespaces of {name}",
        )
    return True
