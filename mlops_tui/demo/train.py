"""One model's release train: change, review, merge, build, stage, approve, roll out, and what to do when that fails."""

import logging
import random
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, Final

from mlops_tui.demo.checks import Checks
from mlops_tui.demo.delivery import Delivery
from mlops_tui.demo.github.model import Pull, Run
from mlops_tui.demo.history import RunFacts, branch_name, start
from mlops_tui.demo.pipelines import (
    CD,
    CI,
    QUALITY,
    ROLLBACK,
    Pipeline,
    changed_files,
    checklist,
    description,
    open_items,
    tick,
)
from mlops_tui.demo.runner import Console, Runner
from mlops_tui.demo.shipping import publish
from mlops_tui.demo.story import BOT, Model, subject
from mlops_tui.demo.troubles import EXPIRED_CREDENTIALS, OUT_OF_MEMORY, TIMED_OUT, Trouble
from mlops_tui.demo.yard import EXPECTED, Candidate, Yard

APPROVAL_SECONDS: Final = (40.0, 80.0)
"""How long the world's own reviewers take, where the user is not faster."""
FIRST_APPROVAL_SECONDS: Final = (150.0, 210.0)
"""The same for what waits when the world begins: time to look at it."""
REST_SECONDS: Final = (45.0, 120.0)
SLOWER_AFTER: Final = 8
"""Between two releases, twice as long after so many: a world left alone for days gathers history ever more slowly."""
ROLLBACK_AFTER: Final = (10.0, 25.0)
"""Seconds from the end of a delivery to the look at how it does."""
MENDING_PATIENCE: Final = 400.0
"""Seconds that an author waits for what makes a run fail to be mended; then the change waits for another day."""
PUSHES: Final = 4
"""After so many an author gives a change up."""
_LOOK_SECONDS: Final = 2.0
_FIXES: Final = {
    OUT_OF_MEMORY: "Halve the batch size of the full training",
    TIMED_OUT: "Train on a sample and raise timeout-minutes to 480",
}

_logger = logging.getLogger(__name__)


class Train:
    """Makes one release of a model after the other, for as long as the world lives."""

    def __init__(self, model: Model, yard: Yard, *, seed: int) -> None:
        self._model = model
        self._yard = yard
        self._clock, self._github = yard.clock, yard.github
        self._random = random.Random(f"{seed}/train/{model.name}")
        self._runner = Runner(yard.clock, yard.github, self._random)
        self._changes = model.versions

    async def run(self) -> None:
        """Finish what is under way, then go on."""
        run_id = self._yard.past.in_flight.get(self._model.name)
        if run_id is not None:
            await self._guarded(self._resume(run_id))
        while True:
            await self._guarded(self._release())
            made = self._changes - self._model.versions
            await self._clock.sleep(self._random.uniform(*REST_SECONDS) * (1 + made / SLOWER_AFTER))

    async def deliver_by_hand(self, candidate: Candidate) -> None:
        """Roll out a version that somebody promoted past the pipelines, once it is approved."""
        title = f"Deliver {self._model.name} v{candidate.version}, promoted by hand"
        facts = RunFacts("main", "repository_dispatch", candidate.commit, title, BOT)
        pipeline = CD.only("production-deployment")
        run_id = start(self._github, self._model.repository, pipeline, facts)
        await self._guarded(self._deliver(run_id, candidate, pipeline=pipeline))

    async def play_again(self, run: Run, pipeline: Pipeline, candidate: Candidate | None) -> None:
        """Play a run that somebody started, with what is known of what it delivers."""
        works = dict(Checks(self._model, self._yard).works)
        if pipeline is CI or candidate is None:
            await self._guarded(self._play(run.id, pipeline, works))
        elif pipeline is CD:
            await self._guarded(self._deliver(run.id, candidate, pipeline=pipeline))
        else:
            delivery = Delivery(self._model, self._yard, candidate, self._random)
            others = self._github.repository(self._model.repository).runs_of_sha.get(run.head_sha, ())
            ends = [other.latest.conclusion for other in others if other.workflow.name == CD.name]
            delivery.failed = ends[-1:] == ["failure"]
            await self._guarded(self._play(run.id, pipeline, delivery.rollback_works))

    async def _play(self, run_id: int, pipeline: Pipeline, works: Any) -> None:
        await self._runner.play(self._model.repository, run_id, pipeline, works)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except EXPECTED as error:
            _logger.warning("%s: %s: %s", self._model.name, type(error).__name__, error)
            await self._clock.sleep(5)

    async def _resume(self, run_id: int) -> None:
        release = self._yard.past.release(self._model, self._model.challenger)
        candidate = self._yard.candidates[self._model.repository, release.commit]
        candidate.previous, candidate.earlier = self._model.champion - 1, self._model.champion - 2
        await self._deliver(run_id, candidate, FIRST_APPROVAL_SECONDS)

    async def _release(self) -> None:
        pull = await self._change()
        if pull.merge_sha is None:
            return
        facts = RunFacts("main", "push", pull.merge_sha, pull.title, pull.author.login)
        if not await self._check(facts):
            return
        candidate = Candidate(0, pull.merge_sha, pull.number, pull.title)
        run_id = self._start_delivery(candidate)
        await self._deliver(run_id, candidate, troubled=True)
        if candidate.trouble in _FIXES and not candidate.version:
            await self._mend_training(candidate, candidate.trouble, pull)

    def _start_delivery(self, candidate: Candidate) -> int:
        facts = RunFacts("main", "workflow_run", candidate.commit, candidate.subject, BOT)
        return start(self._github, self._model.repository, CD, facts)

    async def _mend_training(self, candidate: Candidate, trouble: Trouble, pull: Pull) -> None:
        """Let the author mend what broke the training, and train and deliver that."""
        director, repo = self._yard.director, self._model.repository
        occurrence = director.find(trouble, self._model, candidate.commit)
        await self._clock.sleep(self._random.uniform(*trouble.lasts))
        title, author = _FIXES[trouble], pull.author.login
        self._github.comment(repo, pull.number, author, f"{trouble.annotation}\n\n{title}.")
        commit = self._github.add_commit(repo, None, title, author, branch="main")
        director.end(occurrence)
        batch = candidate.batch // 2 if trouble is OUT_OF_MEMORY else candidate.batch
        fixed = replace(candidate, commit=commit, subject=title, batch=batch, trouble=None)
        await self._deliver(self._start_delivery(fixed), fixed)

    async def _change(self) -> Pull:
        """Open a pull request and see it through its checks and its review."""
        repo, model = self._model.repository, self._model
        self._changes += 1
        title = subject(model, self._changes)
        author, reviewer = self._random.sample(model.owners, 2)
        files = changed_files(model, touches_data=self._changes % 2 == 0)
        number = self._github.open_pull(
            repo, title=title, body=description(model, title), author=author, head_branch=branch_name(title),
            base_branch="main", labels=("model", "data") if self._changes % 2 == 0 else ("model",), files=files,
            requested_reviewers=(reviewer,),
        )  # fmt: skip
        pull = self._github.pull(repo, number)
        comment = await self._post_checklist(pull, checklist(files))
        passed = await self._see_through_checks(pull)
        while pull.state == "OPEN" and open_items(body := self._github.comment_of(repo, comment).body):
            await self._clock.sleep(self._random.uniform(3, 7))
            self._github.set_comment_body(repo, comment, tick(body))
        if pull.state == "OPEN" and passed:
            self._github.review(repo, number, reviewer, "APPROVED")
            await self._clock.sleep(self._random.uniform(4, 10))
        if pull.state == "OPEN" and passed:
            self._github.merge_pull(repo, number, actor=author)
        elif pull.state == "OPEN":
            self._github.close_pull(repo, number)
        return pull

    async def _see_through_checks(self, pull: Pull) -> bool:
        """Run the checks until they passed for the head: whoever pushes meanwhile, or cancels them."""
        for _ in range(PUSHES):
            head = pull.head_sha
            passed = await self._check(_of_pull(pull))
            if pull.state != "OPEN" or (passed and pull.head_sha == head):
                return passed
            if pull.head_sha == head:
                await self._clock.sleep(self._random.uniform(6, 12))
                if pull.state == "OPEN":
                    self._github.push(self._model.repository, pull.number, message="Run the checks again")
        return False

    async def _post_checklist(self, pull: Pull, text: str) -> int:
        repo = self._model.repository
        run_id = start(self._github, repo, QUALITY, _of_pull(pull))
        posted: list[int] = []

        async def post(console: Console) -> bool:
            posted.append(self._github.comment(repo, pull.number, "github-actions[bot]", text))
            console.log(f"Posted the checklist: {open_items(text)} items")
            return True

        await self._runner.play(repo, run_id, QUALITY, {("pr-checklist", "Post checklist"): post})
        # Cancelled before it came to post: the author does it by hand.
        return posted[0] if posted else self._github.comment(repo, pull.number, pull.author.login, text)

    async def _check(self, facts: RunFacts) -> bool:
        """Run CI, again where that helps, and say whether it succeeded in the end."""
        run_id = start(self._github, self._model.repository, CI, facts)
        checks = Checks(self._model, self._yard, troubled=True)
        if await self._runner.play(self._model.repository, run_id, CI, checks.works):
            return True
        return await self._mend(self._github.run(self._model.repository, run_id), facts.actor, checks)

    async def _mend(self, run: Run, author: str, checks: Checks) -> bool:
        """Run a failed run's failed jobs again when what failed them is over, unless somebody else does."""
        deadline = self._clock.monotonic() + MENDING_PATIENCE
        await self._clock.sleep(self._random.uniform(12, 25))
        while self._clock.monotonic() < deadline:
            if run.latest.status != "completed":
                # Somebody ran it again: how that ends counts.
                await self._clock.sleep(_LOOK_SECONDS)
                continue
            if run.latest.conclusion != "failure":
                return run.latest.conclusion == "success"
            if self._yard.director.find(EXPIRED_CREDENTIALS, self._model) is None:
                self._github.rerun(self._model.repository, run.id, actor=author, failed_only=True)
                if await self._runner.play(self._model.repository, run.id, CI, checks.works):
                    return True
            await self._clock.sleep(_LOOK_SECONDS)
        return False

    async def _deliver(
        self,
        run_id: int,
        candidate: Candidate,
        patience: tuple[float, float] = APPROVAL_SECONDS,
        *,
        pipeline: Pipeline = CD,
        troubled: bool = False,
    ) -> None:
        repo = self._model.repository
        self._yard.candidates.setdefault((repo, candidate.commit), candidate)
        delivery = Delivery(self._model, self._yard, candidate, self._random, troubled=troubled)
        works = {**Checks(self._model, self._yard).works, **delivery.works}
        reviewing = self._yard.spawn(self._approve(run_id, patience))
        try:
            if await self._runner.play(repo, run_id, pipeline, works):
                publish(self._github, self._model, candidate.version, candidate.commit)
        finally:
            reviewing.cancel()
        if delivery.promoted:
            await self._clock.sleep(self._random.uniform(*ROLLBACK_AFTER))
            facts = RunFacts("main", "workflow_run", candidate.commit, candidate.subject, BOT)
            rollback = start(self._github, repo, ROLLBACK, facts)
            await self._runner.play(repo, rollback, ROLLBACK, delivery.rollback_works)

    async def _approve(self, run_id: int, patience: tuple[float, float]) -> None:
        """Approve the deployment to production after a while, unless somebody answers before."""
        repo = self._model.repository
        run = self._github.run(repo, run_id)
        while run.latest.status != "completed":
            await self._clock.sleep(_LOOK_SECONDS)
            if "production" in run.pending:
                await self._clock.sleep(self._random.uniform(*patience))
                if "production" in run.pending:
                    self._github.review_deployment(
                        repo, run_id, "production", "approved", self._model.owners[0], "Figures look good"
                    )


def _of_pull(pull: Pull) -> RunFacts:
    return RunFacts(pull.head_branch, "pull_request", pull.head_sha, pull.title, pull.author.login, (pull.number,))
