"""Who and what the world is about: the models, the people, the pipelines, and every release before today.

Everything here follows from the seed and from the moment at which the world begins, and from nothing else.
"""

import hashlib
import math
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

REGISTRY_HOST: Final = "registry.example"
BOT: Final = "release-bot"
OPERATOR: Final = "dana-ops"
"""Whose tokens the world hands out."""


@dataclass(frozen=True, slots=True)
class Model:
    """A registered model and everything that carries its name elsewhere.

    Attributes:
        metric: By which it is judged; `better` is +1 if more of it is better, -1 otherwise.
        champion_value: That metric of the version in production.
        versions: How many there are when the world begins.
        champion: The version that production is meant to serve; `challenger` the one that staging is meant to.
        champion_age: Hours since that version was promoted; `challenger_age` since the challenger was trained.
    """

    name: str
    title: str
    task: str
    repository: str
    deployment: str
    image_name: str
    metric: str
    better: int
    champion_value: float
    threshold: float
    versions: int
    champion: int
    challenger: int
    champion_age: float
    challenger_age: float
    replicas: int
    owners: tuple[str, str, str]
    canary: bool = False
    """Whether production gets a new version beside the old one first."""

    @property
    def image(self) -> str:
        """The image without its tag."""
        return f"{REGISTRY_HOST}/{self.image_name}"


MODELS: Final = (
    Model(
        name="fraud-detector",
        title="card fraud",
        task="classification",
        repository="acme/fraud",
        deployment="fraud-api",
        image_name="fraud",
        metric="accuracy",
        better=1,
        champion_value=0.941,
        threshold=0.85,
        versions=13,
        champion=12,
        challenger=13,
        champion_age=2.1,
        challenger_age=0.42,
        replicas=6,
        owners=("mira-k", "tomasz", "yuki-ml"),
    ),
    Model(
        name="ranker",
        title="search ranking",
        task="ranking",
        repository="acme/ranker",
        deployment="ranker",
        image_name="ranker",
        metric="ndcg",
        better=1,
        champion_value=0.608,
        threshold=0.55,
        versions=31,
        champion=31,
        challenger=31,
        champion_age=0.1,
        challenger_age=1.2,
        replicas=6,
        owners=("ines-r", "tomasz", "bo-chen"),
        canary=True,
    ),
    Model(
        name="vision-ocr",
        title="receipt reading",
        task="vision",
        repository="acme/vision",
        deployment="vision-ocr",
        image_name="vision-ocr",
        metric="cer",
        better=-1,
        champion_value=0.047,
        threshold=0.08,
        versions=9,
        champion=8,
        challenger=9,
        champion_age=170.0,
        challenger_age=26.0,
        replicas=4,
        owners=("yuki-ml", "mira-k", "paolo-v"),
    ),
    Model(
        name="churn",
        title="customer churn",
        task="nlp",
        repository="acme/churn",
        deployment="churn",
        image_name="churn",
        metric="auc",
        better=1,
        champion_value=0.873,
        threshold=0.80,
        versions=8,
        champion=7,
        challenger=8,
        champion_age=52.0,
        challenger_age=19.0,
        replicas=4,
        owners=("bo-chen", "ines-r", "paolo-v"),
    ),
)


@dataclass(frozen=True, slots=True)
class Release:
    """A version that was trained, with the identifiers that tie its traces in the three systems together."""

    model: Model
    version: int
    run_id: str
    author: str
    subject: str
    trained_at: datetime
    """When the training that made it ended."""
    training: timedelta
    metrics: dict[str, float]
    params: dict[str, str]
    commit: str = ""
    """The merge that it was trained from; GitHub gives it."""
    pull: int = 0
    """The pull request that was merged; GitHub numbers it."""

    @property
    def tag(self) -> str:
        """The image's tag."""
        return image_tag(self.version, self.commit)

    @property
    def image(self) -> str:
        return f"{self.model.image}:{self.tag}"

    @property
    def stage(self) -> str:
        """The registry stage when the world begins."""
        if self.version == self.model.champion:
            return "Production"
        if self.version == self.model.challenger:
            return "Staging"
        # A few were never promoted: what a registry looks like after a year.
        return "None" if self.version % 5 == 3 and self.version > 3 else "Archived"

    @property
    def aliases(self) -> tuple[str, ...]:
        named = {
            "champion": self.model.champion,
            "challenger": self.model.challenger,
            "previous": self.model.champion - 1,
        }
        return tuple(alias for alias, version in named.items() if version == self.version)

    def to_json(self) -> dict[str, Any]:
        """Return the release as JSON values."""
        return {
            **{field: getattr(self, field) for field in _PLAIN},
            "model": self.model.name,
            "trained_at": self.trained_at.timestamp(),
            "training": self.training.total_seconds(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Release":
        """Undo `to_json`."""
        return cls(
            **{field: data[field] for field in _PLAIN},
            model=next(model for model in MODELS if model.name == data["model"]),
            trained_at=datetime.fromtimestamp(data["trained_at"], UTC),
            training=timedelta(seconds=data["training"]),
        )


_PLAIN: Final = ("version", "run_id", "author", "subject", "metrics", "params", "commit", "pull")


def image_tag(version: int, commit: str) -> str:
    """Return the tag that the pipeline gives the image of a version."""
    return f"v{version}-{commit[:7]}"


def digest(*parts: object) -> str:
    """Return 40 hexadecimal digits that follow from `parts`: a commit of the story."""
    return hashlib.sha1("/".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()


SUBJECTS: Final = {
    "classification": ("Bigger embedding for {}", "New features from DVC for {}", "Calibrate {} scores"),
    "ranking": ("Longer click history for {}", "Listwise loss for {}", "Position debiasing in {}"),
    "vision": ("Rotate crops before {}", "Distilled backbone for {}", "Thermal paper samples for {}"),
    "nlp": ("Longer context for {}", "Drop stale accounts from {}", "Subword vocabulary for {}"),
}


def subject(model: Model, index: int) -> str:
    """Return the title of the model's change number `index`."""
    choices = SUBJECTS[model.task]
    return choices[index % len(choices)].format(model.title)


def metrics_of(model: Model, version: int, generator: random.Random) -> dict[str, float]:
    """Return what an evaluation of `version` measures: slowly better, with the noise of real training."""
    behind = model.champion - version
    spread = 0.012 if model.champion_value > 0.2 else 0.003
    progress = spread * (1 - math.exp(-abs(behind) / 6)) * (3 if behind > 0 else 1) * (1 if behind > 0 else -1)
    noise = generator.uniform(-0.25, 0.25) * spread if behind else 0.0
    # The challenger is not always the better one.
    value = model.champion_value - model.better * (progress + noise)
    return {
        model.metric: round(value, 4),
        "loss": round(0.9 * abs(1.02 - value) + generator.uniform(0.01, 0.03), 4),
        "p95_latency_ms": round(generator.uniform(70, 320), 1),
        "model_size_mb": round(180 + 3.5 * version + generator.uniform(0, 4), 1),
        "coverage": round(generator.uniform(81, 91), 1),
    }


def params_of(generator: random.Random) -> dict[str, str]:
    """Return the parameters of a training run."""
    return {
        "learning_rate": generator.choice(("1e-4", "3e-4", "5e-4", "1e-3")),
        "batch_size": "64",
        "precision": "fp16",
        "epochs": str(generator.randint(8, 24)),
        "seed": "42",
        "dataset": f"dvc:{digest(generator.random())[:8]}",
    }


def releases(model: Model, seed: int, began: datetime) -> tuple[Release, ...]:
    """Return every version of `model` that is there when the world begins, the oldest first."""
    generator = random.Random(f"{seed}/past/{model.name}")
    ages: dict[int, float] = {model.champion: model.champion_age + 3}
    ages[model.challenger] = model.challenger_age
    for version in range(model.champion - 1, 0, -1):
        ages[version] = ages[version + 1] + generator.uniform(40, 260)
    made = []
    for version in range(1, model.versions + 1):
        made.append(
            Release(
                model=model,
                version=version,
                run_id=digest(seed, model.name, "run", version)[:32],
                author=model.owners[version % 3],
                subject=subject(model, version),
                trained_at=began - timedelta(hours=ages[version]),
                training=timedelta(minutes=generator.randint(95, 215)),
                metrics=metrics_of(model, version, generator),
                params=params_of(generator),
            )
        )
    return tuple(made)
