"""What the jobs of one CD run do to the registry, to the clusters and to the traffic."""

import random
from typing import Final

from mlops_tui.demo.fleet import PRODUCTION, STAGING, Outcome
from mlops_tui.demo.logbook import diagnostics, gate_lines
from mlops_tui.demo.past import CANARY_WEIGHT
from mlops_tui.demo.runner import Console, Works
from mlops_tui.demo.seeding import description_of, version_tags
from mlops_tui.demo.story import BOT, Model, metrics_of, params_of
from mlops_tui.demo.traffic import Figures, Quality
from mlops_tui.demo.troubles import (
    BAD_CANARY,
    BELOW_GATE,
    OUT_OF_MEMORY,
    TIMED_OUT,
    TWO_PRODUCTIONS,
    UNPULLABLE,
    lines_of,
)
from mlops_tui.demo.yard import Candidate, Yard

EPOCHS: Final = 8
EPOCH_SECONDS: Final = 4.5
ROLLOUT_PATIENCE: Final = 90.0
"""Seconds that a pipeline waits for a rollout."""
LOOK_SECONDS: Final = 1.5
"""Between two looks at a rollout."""
FIGURES_SECONDS: Final = 60.0
"""Over which traffic is judged."""
FIGURES_PATIENCE: Final = 60.0
"""Seconds that a load test waits until monitoring has figures."""
P95_SECONDS: Final = 0.5
ERROR_RATE: Final = 0.01
"""What the pipeline accepts of a version under load, and of a canary."""
ROLLBACK_ERROR_RATE: Final = 0.05
ROLLBACK_P95_SECONDS: Final = 2.0
CANARY_SECONDS: Final = (20.0, 32.0)
"""How long a canary is watched; ten minutes in the pipeline's own words."""
_COLLEAGUE: Final = "tomasz"


class Delivery:
    """Trains a version, stages it, promotes it and rolls it out; or rolls it back.

    Args:
        troubled: Whether something may go wrong with it by itself.

    Attributes:
        promoted: Whether production was touched.
        failed: Whether it did not come to its end, which is a reason to roll it back.
    """

    def __init__(
        self, model: Model, yard: Yard, candidate: Candidate, generator: random.Random, *, troubled: bool = False
    ) -> None:
        self._model = model
        self._yard = yard
        self._candidate = candidate
        self._random = generator
        self._troubled = troubled
        self._metrics: dict[str, float] = {}
        self._load: Figures | None = None
        self.failed = True
        self.promoted = False
        self.works: Works = {
            ("full-training", "Train"): self._train,
            ("full-training", "Evaluate"): self._evaluate,
            ("full-training", "Register model"): self._register,
            ("staging-deployment", "Apply"): self._apply_staging,
            ("staging-deployment", "Rollout status"): self._watch_staging,
            ("performance-tests", "Load test"): self._test_load,
            ("performance-tests", "Check p95 < 500 ms"): self._check_load,
            ("production-deployment", "Promote model"): self._promote,
            ("production-deployment", "Apply"): self._apply_production,
            ("production-deployment", "Rollout status"): self._watch_production,
            ("production-deployment", "Canary check"): self._check_canary,
            ("production-deployment", "Scale"): self._scale,
        }
        self.rollback_works: Works = {
            ("rollback", "Query Prometheus"): self._query,
            ("rollback", "Rollout undo"): self._undo,
            ("rollback", "Rollout status"): self._watch_undo,
        }

    @property
    def _image(self) -> str:
        return self._candidate.image(self._model)

    @property
    def _first(self) -> str:
        """The Deployment in production that gets the version first."""
        return f"{self._model.deployment}-canary" if self._model.canary else self._model.deployment

    @property
    def _now(self) -> int:
        return int(self._yard.clock.now().timestamp() * 1000)

    async def _train(self, console: Console) -> bool:
        candidate, model, registry = self._candidate, self._model, self._yard.registry
        if candidate.version:
            console.log("dvc repro train", "Stage 'train' didn't change, skipping", f"MLflow run {candidate.run_id}")
            return True
        self._claim_training_trouble()
        self._metrics = metrics_of(model, model.champion, self._random)
        drift = self._random.uniform(-0.3, 1.0) * 0.01 * model.champion_value * model.better
        self._metrics[model.metric] = round(self._metrics[model.metric] + drift, 4)
        if candidate.trouble is BELOW_GATE:
            self._metrics[model.metric] = round(model.threshold * (1 - 0.02 * model.better), 4)
        parameters = params_of(self._random) | {"batch_size": str(candidate.batch)}
        name = f"full-training-{candidate.commit[:7]}"
        run_id = await registry.start_run(model, name, candidate.commit, parameters, self._now)
        candidate.run_id = run_id
        console.log(f"python train.py --batch-size {candidate.batch}", f"MLflow run {run_id}, experiment {model.name}")
        breaks_at = {OUT_OF_MEMORY: 2, TIMED_OUT: 4}.get(candidate.trouble) if candidate.trouble else None
        for epoch in range(EPOCHS):
            await self._yard.clock.sleep(EPOCH_SECONDS)
            if epoch == breaks_at:
                await registry.end_run(run_id, "FAILED", self._now)
                return self._break_training(console)
            loss = round(self._metrics["loss"] * (1 + 3 / (epoch + 1)), 4)
            await registry.log(run_id, {"loss": loss}, epoch, self._now)
            console.log(f"epoch {epoch + 1}/{EPOCHS}  loss {loss:.4f}")
        return True

    def _claim_training_trouble(self) -> None:
        if not self._troubled or self._candidate.trouble is not None:
            return
        for trouble in (OUT_OF_MEMORY, TIMED_OUT, BELOW_GATE):
            if self._yard.director.claim(trouble, self._model, self._candidate.commit) is not None:
                self._candidate.trouble = trouble
                return

    def _break_training(self, console: Console) -> bool:
        trouble, now = self._candidate.trouble, self._yard.clock.now()
        assert trouble is not None
        assert trouble.error is not None
        error = trouble.error
        console.log(*lines_of(trouble, self._model))
        console.annotate(trouble.annotation, title=error.type)
        text = diagnostics(self._model, self._candidate.commit, now, error.type, error.message, error.traceback)
        console.keep("training_diagnostics", {"training_diagnostics.json": text})
        console.conclusion = "timed_out" if trouble is TIMED_OUT else "failure"
        return False

    async def _evaluate(self, console: Console) -> bool:
        candidate, model = self._candidate, self._model
        if not candidate.version:
            await self._yard.registry.log(candidate.run_id, self._metrics, EPOCHS, self._now)
            await self._yard.registry.end_run(candidate.run_id, "FINISHED", self._now)
            candidate.metric = self._metrics[model.metric]
            console.log(*(f"{key} = {value}" for key, value in self._metrics.items()))
        console.log(f"{model.metric} on the full evaluation set: {candidate.metric:.4f}")
        return True

    async def _register(self, console: Console) -> bool:
        registry, candidate, model = self._yard.registry, self._candidate, self._model
        async with self._yard.desk.moving(model):
            if not candidate.version:
                text = description_of(candidate.subject, candidate.pull)
                tags = {"pull_request": str(candidate.pull)}
                candidate.version = await registry.register(model, candidate.run_id, text, tags)
                for key, value in version_tags(self._image, candidate.pull).items():
                    await registry.set_tag(model, candidate.version, key, value)
            if candidate.version not in await registry.in_stage(model, "Production"):
                await registry.set_stage(model, candidate.version, "Staging", archive=True)
            await registry.set_alias(model, "challenger", candidate.version)
        self._set_quality()
        console.log(
            f"Registered model '{model.name}', version {candidate.version}, from run {candidate.run_id}",
            f"stage: Staging, alias: challenger, image: {self._image}",
        )
        return True

    def _set_quality(self) -> None:
        """Let requests feel how good the version is."""
        latency = self._metrics.get("p95_latency_ms")
        if latency is not None:
            self._yard.traffic.quality(self._image, Quality(self._random.uniform(0.0008, 0.003), latency / 1000))

    async def _apply_staging(self, console: Console) -> bool:
        self._deploy(console, STAGING, self._model.deployment, 1)
        self._yard.fleet.resume(STAGING, self._model.deployment)
        return True

    async def _watch_staging(self, console: Console) -> bool:
        return await self._watch(console, STAGING, self._model.deployment, "300s")

    async def _test_load(self, console: Console) -> bool:
        console.log("locust --headless -u 50 -r 10 -t 5m -f tests/load/predict.py")
        deadline = self._yard.clock.monotonic() + FIGURES_PATIENCE
        while (figures := self._figures(STAGING, self._model.deployment)).p95_seconds is None:
            if self._yard.clock.monotonic() > deadline:
                console.log("No request was answered: is anything of it running in staging?")
                return False
            await self._yard.clock.sleep(5)
        self._load = figures
        console.log(f"{_written(figures)}")
        return True

    async def _check_load(self, console: Console) -> bool:
        p95 = None if self._load is None else self._load.p95_seconds
        if p95 is None:
            console.log("There is no p95 to check")
            return False
        verdict = "passed" if p95 < P95_SECONDS else "FAILED"
        console.log(f"p95 {p95 * 1000:.0f} ms < {P95_SECONDS * 1000:.0f} ms: {verdict}")
        return p95 < P95_SECONDS

    async def _promote(self, console: Console) -> bool:
        registry, model, candidate = self._yard.registry, self._model, self._candidate
        in_use = await registry.in_use(model)
        champion = None if in_use.champion is None else self._yard.candidate(model, in_use.champion)
        value = None if champion is None else champion.metric
        console.log(*gate_lines(model, candidate.version, candidate.metric, in_use.champion, value))
        if candidate.by_hand:
            console.log(f"v{candidate.version} was promoted by hand: delivering what the registry says")
        elif (candidate.metric - model.threshold) * model.better < 0:
            console.annotate(f"{BELOW_GATE.annotation}: {model.metric} = {candidate.metric:.4f}")
            self._yard.director.end(self._yard.director.find(BELOW_GATE, model, candidate.commit))
            return False
        else:
            candidate.previous, candidate.earlier = in_use.champion, in_use.previous
        self.promoted = True
        async with self._yard.desk.moving(model):
            if candidate.version not in await registry.in_stage(model, "Production"):
                await registry.set_stage(model, candidate.version, "Production", archive=True)
            await registry.set_alias(model, "champion", candidate.version)
            if candidate.previous is not None and candidate.previous != candidate.version:
                await registry.set_alias(model, "previous", candidate.previous)
            if not candidate.by_hand:
                await self._mark(candidate.version, "Staging")
            await self._let_somebody_else_promote()
        console.log(f"champion: v{candidate.version}, stage: Production")
        return True

    async def _let_somebody_else_promote(self) -> None:
        """Let a colleague move the version before to Production at the same moment, and clean up after a while."""
        model, other, director = self._model, self._candidate.previous, self._yard.director
        if not self._troubled or other is None or other == self._candidate.version:
            return
        occurrence = director.claim(TWO_PRODUCTIONS, model, other)
        if occurrence is None:
            return
        await self._yard.registry.set_stage(model, other, "Production", archive=False)
        await self._mark(other, "Archived", _COLLEAGUE)
        self._yard.spawn(self._until_one_is_archived(other, director.patience(occurrence)))

    async def _until_one_is_archived(self, other: int, patience: float) -> None:
        model, registry, director = self._model, self._yard.registry, self._yard.director
        occurrence = director.find(TWO_PRODUCTIONS, model, other)
        deadline = self._yard.clock.monotonic() + patience
        while len(versions := await registry.in_stage(model, "Production")) > 1:
            await self._yard.clock.sleep(10)
            if self._yard.clock.monotonic() > deadline and other in versions:
                async with self._yard.desk.moving(model):
                    await registry.set_stage(model, other, "Archived", archive=False)
        director.end(occurrence)

    async def _mark(self, version: int, before: str, by: str = BOT) -> None:
        at = self._yard.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        marks = {"by": by, "from": before, "at": at}
        for key, value in marks.items():
            await self._yard.registry.set_tag(self._model, version, f"mlops_tui.promoted_{key}", value)

    async def _apply_production(self, console: Console) -> bool:
        trouble = BAD_CANARY if self._model.canary else UNPULLABLE
        if self._troubled and self._yard.director.claim(trouble, self._model, self._candidate.commit) is not None:
            if self._model.canary:
                self._yard.traffic.quality(self._image, Quality(self._random.uniform(0.03, 0.06), 0.12))
            else:
                self._yard.fleet.break_image(self._image)
        self.promoted = True
        self._deploy(console, PRODUCTION, self._first, 1 if self._model.canary else None)
        return True

    async def _watch_production(self, console: Console) -> bool:
        return await self._watch(console, PRODUCTION, self._first, "600s")

    async def _check_canary(self, console: Console) -> bool:
        fleet, model = self._yard.fleet, self._model
        if model.canary:
            fleet.route(model, CANARY_WEIGHT)
            console.log(f"virtualservice {model.deployment}: stable {100 - CANARY_WEIGHT}, canary {CANARY_WEIGHT}")
        seconds = self._random.uniform(*CANARY_SECONDS)
        for _ in range(4):
            await self._yard.clock.sleep(seconds / 4)
            console.log(_written(self._figures(PRODUCTION, self._first)))
        # A canary that nobody asks anything is not one that is fine; others have served before.
        rate = self._figures(PRODUCTION, self._first).error_rate
        passed = rate is not None and rate < ERROR_RATE
        written = "unknown" if rate is None else f"{rate:.4f}"
        console.log(f"error rate {written} < {ERROR_RATE} over the check: {'passed' if passed else 'FAILED'}")
        if not passed:
            console.annotate(f"{BAD_CANARY.annotation}: {written}")
            if model.canary:
                fleet.route(model, 0)
                console.log(f"virtualservice {model.deployment}: stable 100, canary 0")
        return passed

    async def _scale(self, console: Console) -> bool:
        self.promoted = True
        fleet, model = self._yard.fleet, self._model
        if fleet.is_autoscaled(PRODUCTION, model.deployment):
            console.log(f"{model.deployment} is autoscaled: the number of replicas is left alone")
        elif not model.canary:
            fleet.scale(PRODUCTION, model.deployment, model.replicas)
            console.log(f"deployment.apps/{model.deployment} scaled")
        else:
            self._deploy(console, PRODUCTION, model.deployment, model.replicas)
            if not await self._watch(console, PRODUCTION, model.deployment, "600s"):
                return False
            fleet.route(model, 0)
            fleet.scale(PRODUCTION, self._first, 0)
            console.log(f"virtualservice {model.deployment}: stable 100, canary 0")
        self.failed = False
        return True

    def _deploy(self, console: Console, namespace: str, name: str, replicas: int | None) -> None:
        """Apply the candidate; `None` replicas leaves the number that is there."""
        candidate, fleet = self._candidate, self._yard.fleet
        fleet.deploy(
            self._model,
            namespace,
            name,
            image=self._image,
            version=candidate.version,
            commit=candidate.commit,
            replicas=replicas,
            cause=f"{self._model.name} v{candidate.version} (#{candidate.pull})",
        )
        if fleet.is_committed(namespace, name):
            console.log("git push origin main", f"argocd app wait {name} --sync", f"application '{name}' synced")
        else:
            console.log(f"kubectl -n {namespace} apply -k deploy/{namespace}", f"deployment.apps/{name} configured")

    async def _watch(self, console: Console, namespace: str, name: str, timeout: str) -> bool:
        fleet, clock = self._yard.fleet, self._yard.clock
        image = fleet.image(namespace, name)
        console.log(f"kubectl -n {namespace} rollout status deployment/{name} --timeout={timeout}")
        deadline, said = clock.monotonic() + ROLLOUT_PATIENCE, ""
        while True:
            outcome = fleet.outcome(namespace, name)
            if (line := fleet.progress(namespace, name)) != said:
                console.log(said := line)
            if outcome is Outcome.COMPLETE:
                return self._is_still_meant(console, namespace, name, image)
            if outcome is Outcome.FAILED or clock.monotonic() > deadline:
                break
            await clock.sleep(LOOK_SECONDS)
        failed = outcome is Outcome.FAILED
        console.log(
            f'error: deployment "{name}" exceeded its progress deadline' if failed else
            "error: timed out waiting for the condition",
            *fleet.waiting_pods(namespace, name),
        )  # fmt: skip
        if any("ImagePullBackOff" in line for line in fleet.waiting_pods(namespace, name)):
            console.annotate(f"{UNPULLABLE.annotation}: {fleet.image(namespace, name)}")
        return False

    def _is_still_meant(self, console: Console, namespace: str, name: str, image: str) -> bool:
        """Say whether what was rolled out is what the wait began for."""
        now = self._yard.fleet.image(namespace, name)
        if now != image:
            console.log(f"error: {name} has {now} now: somebody has rolled {image} back")
            console.annotate(f"{name} was changed by somebody else during the rollout")
        return now == image

    async def _query(self, console: Console) -> bool:
        figures = self._figures(PRODUCTION, self._model.deployment)
        console.log(
            "rate(model_errors_total[5m]) / rate(model_requests_total[5m])",
            "histogram_quantile(0.95, rate(model_latency_bucket[5m]))",
            _written(figures),
        )
        bad = (figures.error_rate or 0) > ROLLBACK_ERROR_RATE or (figures.p95_seconds or 0) > ROLLBACK_P95_SECONDS
        self.failed = self.failed or bad
        console.log("Rolling back" if self.failed else "Nothing to roll back")
        return True

    async def _undo(self, console: Console) -> bool:
        fleet, model, candidate = self._yard.fleet, self._model, self._candidate
        if not self.failed:
            return True
        if model.canary:
            fleet.route(model, 0)
            fleet.scale(PRODUCTION, self._first, 0)
            console.log(f"virtualservice {model.deployment}: stable 100, canary 0")
        if fleet.image(PRODUCTION, model.deployment) == self._image:
            fleet.undo(PRODUCTION, model.deployment)
            console.log(f"deployment.apps/{model.deployment} rolled back")
        else:
            served = fleet.image(PRODUCTION, model.deployment)
            console.log(f"{model.deployment} has {served}: nothing to undo, somebody was faster or it was a canary")
        for trouble in (BAD_CANARY, UNPULLABLE):
            self._yard.director.end(self._yard.director.find(trouble, model, candidate.commit))
        await self._demote(console)
        return True

    async def _demote(self, console: Console) -> None:
        """Let the version before be the champion again, unless somebody has decided otherwise meanwhile."""
        registry, model, candidate = self._yard.registry, self._model, self._candidate
        if candidate.previous is None or (await registry.in_use(model)).champion != candidate.version:
            return
        async with self._yard.desk.moving(model):
            await registry.set_stage(model, candidate.previous, "Production", archive=True)
            await registry.set_alias(model, "champion", candidate.previous)
            if candidate.earlier is not None:
                await registry.set_alias(model, "previous", candidate.earlier)
            await self._mark(candidate.previous, "Archived")
        console.log(f"champion: v{candidate.previous}")

    async def _watch_undo(self, console: Console) -> bool:
        return await self._watch(console, PRODUCTION, self._model.deployment, "600s")

    def _figures(self, namespace: str, name: str) -> Figures:
        return self._yard.traffic.figures(namespace, name, FIGURES_SECONDS)


def _written(figures: Figures) -> str:
    rate = "unknown" if figures.error_rate is None else f"{figures.error_rate:.4f}"
    p95 = "unknown" if figures.p95_seconds is None else f"{figures.p95_seconds * 1000:.0f} ms"
    return f"{figures.requests_per_second:.1f} requests/s, error rate {rate}, p95 {p95}"
