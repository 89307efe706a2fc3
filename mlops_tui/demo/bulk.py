"""The mass of a large world beside its story: many teams, each with a repository, a namespace and its models.

Nobody acts in it; it is there to be listed, searched and scrolled. Everything follows from the seed and from the moment
at which the world begins. What the registry's process and the world's process each need is here, without their imports.
"""

import random
import zlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from mlops_tui.demo.story import MODELS, Model, Release, digest, metrics_of, params_of, subject

MODEL_COUNT: Final = 1_000
"""Registered models of a large world, those of the story among them; the other counts include the story's, too."""
VERSION_COUNT: Final = 20_000
DEPLOYMENT_COUNT: Final = 1_000
RUN_COUNT: Final = 5_000
PULL_COUNT: Final = 500
"""Open pull requests."""
RUNS_OF_A_REPOSITORY: Final = 250
"""More than any repository has: what the settings of a large world ask for."""

AREAS: Final = (
    "checkout", "loyalty", "pricing", "catalog", "ads", "returns", "warehouse", "delivery", "support", "mail",
    "risk", "billing", "identity", "stores", "travel", "video", "voice", "energy", "claims", "credit",
    "hiring", "legal", "maps", "weather", "games",
)  # fmt: skip
"""What the teams look after, one each."""
PURPOSES: Final = {
    "propensity": ("classification", "auc", 1, 0.86),
    "forecast": ("classification", "mape", -1, 0.12),
    "ranker": ("ranking", "ndcg", 1, 0.61),
    "recommender": ("ranking", "recall_at_20", 1, 0.43),
    "anomaly": ("classification", "precision", 1, 0.91),
    "embedding": ("nlp", "mrr", 1, 0.72),
    "intent": ("nlp", "f1", 1, 0.88),
    "summarizer": ("nlp", "rouge_l", 1, 0.41),
    "detector": ("vision", "map", 1, 0.57),
    "reader": ("vision", "cer", -1, 0.05),
}
"""What models are for, with task, metric, its direction and a usual value."""
REGIONS: Final = ("eu", "us", "apac", "global")
PEOPLE: Final = (
    "amara-o", "bjorn-h", "chiara-m", "dmitri-v", "elif-k", "farid", "grace-h", "hiro-t", "imani", "jonas-w",
    "katya-s", "liang-z", "mateo-r", "noor-a", "olu-b", "priya-n", "quentin", "rosa-l", "sven-e", "tala-d",
)  # fmt: skip


class TeamRelease(Release):
    """A version of a team's model: some teams use stages, some aliases, some both, some neither."""

    __slots__ = ()

    @property
    def stage(self) -> str:
        return super().stage if _habit(self.model) in ("both", "stages") else "None"

    @property
    def aliases(self) -> tuple[str, ...]:
        return super().aliases if _habit(self.model) in ("both", "aliases") else ()


def _habit(model: Model) -> str:
    return ("both", "both", "aliases", "aliases", "stages", "neither")[zlib.crc32(model.name.encode()) % 6]


def namespaces() -> tuple[str, ...]:
    """Return the namespaces of the teams."""
    return tuple(f"team-{number:02}" for number in range(1, len(AREAS) + 1))


def repositories() -> tuple[str, ...]:
    """Return the repositories of the teams."""
    return tuple(f"acme/{namespace}" for namespace in namespaces())


def team_models(seed: int) -> tuple[Model, ...]:
    """Return the models of all teams, the first team's first."""
    generator = random.Random(f"{seed}/bulk/models")
    names = [
        (team, f"{area}-{purpose}-{region}", purpose)
        for team, area in enumerate(AREAS)
        for purpose in PURPOSES
        for region in REGIONS
    ][: MODEL_COUNT - len(MODELS)]
    versions, more = divmod(VERSION_COUNT - sum(model.versions for model in MODELS), len(names))
    return tuple(
        _model(team, name, purpose, versions + (number < more), generator)
        for number, (team, name, purpose) in enumerate(names)
    )


def _model(team: int, name: str, purpose: str, versions: int, generator: random.Random) -> Model:
    task, metric, better, value = PURPOSES[purpose]
    champion = versions - generator.choice((0, 1, 1, 2, 5))
    first = team * 3
    return Model(
        name=name,
        title=name.replace("-", " "),
        task=task,
        repository=repositories()[team],
        deployment=name,
        image_name=name,
        metric=metric,
        better=better,
        champion_value=round(value * generator.uniform(0.92, 1.06), 4),
        threshold=round(value * (0.9 if better > 0 else 1.3), 4),
        versions=versions,
        champion=champion,
        challenger=generator.randint(champion, versions),
        champion_age=generator.uniform(2, 200),
        challenger_age=0.0,
        replicas=1,
        owners=(PEOPLE[first % len(PEOPLE)], PEOPLE[(first + 1) % len(PEOPLE)], PEOPLE[(first + 2) % len(PEOPLE)]),
    )


def team_releases(model: Model, seed: int, began: datetime) -> Iterator[TeamRelease]:
    """Return every version of a team's model, the oldest first."""
    generator = random.Random(f"{seed}/bulk/{model.name}")
    # The champion was trained before it was promoted, and what is newer since.
    between = (model.champion_age + 3) / (model.versions - model.champion + 1)
    age = (model.champion_age + 3) + sum(ages := [generator.uniform(4, 40) for _ in range(model.champion - 1)])
    for version in range(1, model.versions + 1):
        yield TeamRelease(
            model=model,
            version=version,
            run_id=digest(seed, model.name, "run", version)[:32],
            author=model.owners[version % 3],
            subject=subject(model, version),
            trained_at=began - timedelta(hours=age),
            training=timedelta(minutes=generator.randint(12, 190)),
            metrics=metrics_of(model, version, generator),
            params=params_of(generator),
            commit=digest(seed, model.name, "commit", version),
        )
        age -= ages[version - 1] if version < model.champion else between
