"""What goes wrong in the world: which steps it hits, what it leaves behind, how long it lasts and what heals it."""

import math
import random
from collections import deque
from dataclasses import dataclass
from typing import Final

from mlops_tui.demo.story import Model
from mlops_tui.domain.clock import Clock

OPEN_AT_ONCE: Final = 2
"""More at a time would be a disaster rather than a working day."""
AGAIN_SECONDS: Final = (1500.0, 3000.0)
"""Until the same happens again."""
_FORGOTTEN: Final = 3
"""What nobody healed after so many times its longest time is over for the world: its run was cancelled, say."""


@dataclass(frozen=True, slots=True)
class Error:
    """An error as `training_diagnostics.json` tells it."""

    type: str
    message: str
    traceback: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trouble:
    """A kind of trouble.

    Attributes:
        job: Which it hits, at `step`; both are empty where no pipeline is hit.
        lines: What the step prints, with the model's fields in braces.
        annotation: What GitHub shows beside the failed job.
        error: What the training's diagnostics say.
        lasts: Seconds until the world itself heals it, unless somebody is faster.
        heals: What ends it.
        after: Seconds from the begin of the world from which it can happen first.
    """

    name: str
    job: str
    step: str
    lasts: tuple[float, float]
    heals: str
    after: float
    lines: tuple[str, ...] = ()
    annotation: str = ""
    error: Error | None = None


EXPIRED_CREDENTIALS: Final = Trouble(
    name="expired-credentials",
    job="data-validation",
    step="DVC pull",
    lasts=(70, 130),
    heals="Somebody renews the repository's secret; runs that begin before it fail as well.",
    after=30,
    lines=(
        "dvc pull --run-cache",
        "ERROR: unexpected error - An error occurred (ExpiredToken) when calling the GetObject operation: "
        "The provided token has expired.",
        "ERROR: failed to pull data from the cloud - Checkout failed for following targets:",
        "data/{image_name}",
        "Is your cache up to date?",
    ),
    annotation="DVC: ExpiredToken: the credentials of the remote have expired",
)
FLAKY_TEST: Final = Trouble(
    name="flaky-test",
    job="unit-tests",
    step="Pytest with coverage",
    lasts=(25, 50),
    heals="The failed job is run again.",
    after=0,
    lines=(
        "============================= test session starts ==============================",
        "collected 118 items",
        "tests/test_network.py ...............................F..........         [ 35%]",
        "=================================== FAILURES ===================================",
        "_________________________ test_sampling_keeps_the_mean _________________________",
        "    def test_sampling_keeps_the_mean():",
        ">       assert abs(sample(weights).mean() - 0.5) < 0.01",
        "E       assert 0.0131 < 0.01",
        "tests/test_network.py:87: AssertionError",
        "FAILED tests/test_network.py::test_sampling_keeps_the_mean - assert 0.0131 < 0.01",
        "======================== 1 failed, 117 passed in 83.02s ========================",
    ),
    annotation="test_sampling_keeps_the_mean: assert 0.0131 < 0.01",
)
OUT_OF_MEMORY: Final = Trouble(
    name="out-of-memory",
    job="full-training",
    step="Train",
    lasts=(40, 80),
    heals="The author halves the batch and trains again.",
    after=60,
    lines=(
        "Traceback (most recent call last):",
        '  File "/actions-runner/_work/train.py", line 212, in <module>',
        "    loss = model(batch.to(device)).mean()",
        "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of "
        "39.39 GiB of which 1.11 GiB is free.",
        "Wrote training_diagnostics.json",
        "/actions-runner/_work/_temp/run.sh: line 1: 2231 Killed python train.py --batch-size 64 (exit code 137)",
    ),
    annotation="torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.50 GiB (exit code 137)",
    error=Error(
        "torch.cuda.OutOfMemoryError",
        "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 39.39 GiB of which 1.11 GiB "
        "is free.",
        (
            "Traceback (most recent call last):",
            '  File "/actions-runner/_work/train.py", line 212, in <module>',
            "    loss = model(batch.to(device)).mean()",
            "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.50 GiB.",
        ),
    ),
)
TIMED_OUT: Final = Trouble(
    name="training-timed-out",
    job="full-training",
    step="Train",
    lasts=(40, 80),
    heals="The author trains on a sample and raises the timeout.",
    after=240,
    annotation="The job has exceeded the maximum execution time of 6h0m0s",
    error=Error(
        "TimeoutError",
        "epoch 5 of 8 was not finished after 360 minutes",
        ("Traceback (most recent call last):", '  File "train.py", line 240, in main', "TimeoutError: epoch 5 of 8"),
    ),
)
BELOW_GATE: Final = Trouble(
    name="below-gate",
    job="production-deployment",
    step="Promote model",
    lasts=(60, 120),
    heals="The version stays in staging; a better one follows.",
    after=420,
    annotation="The promotion gate failed: see the log for value, comparator, threshold and champion",
)
UNPULLABLE: Final = Trouble(
    name="image-pull",
    job="production-deployment",
    step="Rollout status",
    lasts=(120, 240),
    heals="A rollback, by the pipeline or by whoever is faster.",
    after=120,
    annotation="The rollout did not finish: ImagePullBackOff",
)
BAD_CANARY: Final = Trouble(
    name="bad-canary",
    job="production-deployment",
    step="Canary check",
    lasts=(90, 180),
    heals="The canary gets no more traffic, and the version before it stays champion.",
    after=0,
    annotation="The canary's error rate is above 0.01",
)
TWO_PRODUCTIONS: Final = Trouble(
    name="two-productions",
    job="",
    step="",
    lasts=(150, 240),
    heals="One of the two versions is archived.",
    after=300,
)
UNDONE: Final = Trouble(
    name="undone-by-argo-cd",
    job="",
    step="",
    lasts=(20, 30),
    heals="Argo CD puts the Deployment back to what is in Git.",
    after=180,
)
TROUBLES: Final = (
    EXPIRED_CREDENTIALS, FLAKY_TEST, OUT_OF_MEMORY, TIMED_OUT, BELOW_GATE, UNPULLABLE, BAD_CANARY, TWO_PRODUCTIONS,
    UNDONE,
)  # fmt: skip


@dataclass(slots=True, eq=False)
class Occurrence:
    """A trouble that happened to a model.

    Attributes:
        began: The clock's monotonic time; `ended` likewise, `None` while it is open.
        about: The run that it hit, or the commit, where that tells it from others.
    """

    trouble: Trouble
    model: Model
    began: float
    about: object = None
    ended: float | None = None

    @property
    def is_open(self) -> bool:
        return self.ended is None


class Director:
    """Decides when something goes wrong: each kind in its time, at most two at once."""

    def __init__(self, clock: Clock, generator: random.Random) -> None:
        self._clock = clock
        self._random = generator
        begin = clock.monotonic()
        self._due = {trouble.name: begin + trouble.after + generator.uniform(0, 120) for trouble in TROUBLES}
        self._open: list[Occurrence] = []
        self.past: deque[Occurrence] = deque(maxlen=400)
        """What happened, the latest last; those that are open as well."""

    def only(self, *troubles: Trouble) -> None:
        """From now on let nothing but these begin to go wrong, each at its next opportunity."""
        self._due = {trouble.name: self._clock.monotonic() if trouble in troubles else math.inf for trouble in TROUBLES}

    def claim(self, trouble: Trouble, model: Model, about: object = None) -> Occurrence | None:
        """Let a trouble happen to a model if it is time for it; `None` lets everything go well."""
        now = self._clock.monotonic()
        self._forget(now)
        busy = len(self._open) >= OPEN_AT_ONCE or any(found.model is model for found in self._open)
        if busy or now < self._due[trouble.name]:
            return None
        occurrence = Occurrence(trouble, model, now, about)
        self._due[trouble.name] = now + self._random.uniform(*AGAIN_SECONDS)
        self._open.append(occurrence)
        self.past.append(occurrence)
        return occurrence

    def find(self, trouble: Trouble, model: Model, about: object = None) -> Occurrence | None:
        """Return a model's open trouble of this kind, if any; with `about`, only the one about that."""
        self._forget(self._clock.monotonic())
        for found in self._open:
            if found.trouble is trouble and found.model is model and about in (None, found.about):
                return found
        return None

    def end(self, occurrence: Occurrence | None) -> None:
        """Say that a trouble is healed; it may have been before."""
        if occurrence is not None and occurrence.is_open:
            occurrence.ended = self._clock.monotonic()
            self._open.remove(occurrence)

    @property
    def open(self) -> tuple[Occurrence, ...]:
        """What is wrong now."""
        return tuple(self._open)

    def patience(self, occurrence: Occurrence) -> float:
        """Return after how many seconds the world heals a trouble itself."""
        return self._random.uniform(*occurrence.trouble.lasts)

    def _forget(self, now: float) -> None:
        for found in tuple(self._open):
            if now - found.began > _FORGOTTEN * found.trouble.lasts[1]:
                self.end(found)


def lines_of(trouble: Trouble, model: Model) -> tuple[str, ...]:
    """Return what the step that a trouble hits prints."""
    return tuple(
        line.replace("{image_name}", model.image_name).replace("{deployment}", model.deployment)
        for line in trouble.lines
    )
