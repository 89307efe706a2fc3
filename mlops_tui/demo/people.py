"""The people of the world: small deeds at side pull requests, and answers to what a user says there."""

import logging
import random
from collections.abc import Callable
from typing import Final

from mlops_tui.demo.checks import Checks
from mlops_tui.demo.fleet import PRODUCTION
from mlops_tui.demo.github import StoreEvent
from mlops_tui.demo.github.model import Pull
from mlops_tui.demo.history import RunFacts, branch_name, start
from mlops_tui.demo.pipelines import CI, changed_files, checklist, description, open_items, tick
from mlops_tui.demo.runner import Runner
from mlops_tui.demo.story import MODELS, Model
from mlops_tui.demo.troubles import UNDONE
from mlops_tui.demo.yard import EXPECTED, Yard

BEAT_SECONDS: Final = (2.8, 4.6)
"""Between two small things that people do: something changes every few seconds, whatever the trains are at."""
SIDE_RUNS: Final = 3
"""CI runs of side pull requests at a time."""
COMMENTS: Final = 6
"""A pull request that has as many is talked about no more."""
ANSWERS: Final = 3
"""An author answers as many times at a pull request."""
ANSWER_SECONDS: Final = (10.0, 19.0)
REVIEW_SECONDS: Final = (4.0, 9.0)
"""From the last tick to the approval, and from there to the merge."""
LOOK_SECONDS: Final = 4.0
"""Between two looks at what was pushed."""
_TITLES: Final = (
    "Faster data loading for {}",
    "Refresh {} training data",
    "Log calibration of {}",
    "Smaller image for {}",
    "Pin the seeds of {}",
)
_REMARKS: Final = (
    "The p95 of the load test is the same as before.",
    "Could the new column be named like the others?",
    "DVC push is through, the hash is in the description.",
    "Rebased on dev.",
)
_REPLIES: Final = (
    "@{}: thanks, I will have a look.",
    "@{}: good point; the run's figures are linked in the description.",
    "@{}: agreed, I will do that before the merge.",
)

_logger = logging.getLogger(__name__)


class People:
    """Everybody but the trains' own authors and reviewers."""

    def __init__(self, yard: Yard, *, seed: int) -> None:
        self._yard = yard
        self._clock, self._github = yard.clock, yard.github
        self._pulls = yard.past.side_pulls
        self._random = random.Random(f"{seed}/people")
        self._talk = random.Random(f"{seed}/talk")
        self._runner = Runner(yard.clock, yard.github, random.Random(f"{seed}/side-runs"))
        self._side_runs = 0
        self._titles = 0
        self._checked = {(repo, number): self._github.pull(repo, number).head_sha for repo, number in self._pulls}
        self._finishing: set[tuple[str, int]] = set()

    async def work(self) -> None:
        """Do one small thing after the other until cancelled."""
        deeds: tuple[tuple[Callable[[str, int], None], float], ...] = (
            (self._tick, 0.76),
            (self._push, 0.13),
            (self._remark, 0.11),
        )
        while True:
            await self._clock.sleep(self._random.uniform(*BEAT_SECONDS))
            (deed,) = self._random.choices([deed for deed, _ in deeds], [weight for _, weight in deeds])
            index = self._random.randrange(len(self._pulls))
            repo, number = self._pulls[index]
            try:
                if self._github.pull(repo, number).state == "OPEN":
                    deed(repo, number)
                else:
                    self._checked.pop((repo, number), None)
                    self._pulls[index] = (repo, self._open(repo))
            except EXPECTED as error:
                _logger.warning("%s: %s", type(error).__name__, error)

    async def check_pushes(self) -> None:
        """Start CI for every head that somebody pushes to a side pull request, until cancelled."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            for repo, number in tuple(self._pulls):
                pull = self._github.pull(repo, number)
                known = self._checked.setdefault((repo, number), pull.head_sha)
                if pull.state == "OPEN" and pull.head_sha != known:
                    self._checked[repo, number] = pull.head_sha
                    self._yard.spawn(self._check(repo, pull))

    async def change_by_hand(self) -> None:
        """Now and then change by hand what Argo CD manages, and see it undone, until cancelled."""
        fleet, director = self._yard.fleet, self._yard.director
        managed = next(model for model in MODELS if fleet.is_committed(PRODUCTION, model.deployment))
        while True:
            await self._clock.sleep(20)
            occurrence = director.claim(UNDONE, managed)
            if occurrence is None:
                continue
            replicas = managed.replicas + self._random.choice((-2, -1, 2))
            try:
                fleet.scale_by_hand(PRODUCTION, managed.deployment, replicas)
            except EXPECTED as error:
                _logger.warning("%s: %s", type(error).__name__, error)
            await self._clock.sleep(director.patience(occurrence))
            director.end(occurrence)

    def react(self, event: StoreEvent) -> None:
        """Answer what a client of the server did to a pull request."""
        if event.action == "comment":
            self._yard.spawn(self._answer(event))
        elif event.action == "edit" and (event.repository, event.number) in self._pulls:
            pull = self._github.pull(event.repository, event.number)
            texts = [comment.body for comment in pull.comments if "- [x] " in comment.body]
            if texts and not any(map(open_items, texts)):
                self._yard.spawn(self._finish(event.repository, pull))

    async def _answer(self, event: StoreEvent) -> None:
        """Let the author answer a comment, but neither a bot's nor an own one, nor without end."""
        pull = self._github.pull(event.repository, event.number)
        author = pull.author.login
        answers = sum(comment.body.startswith("@") for comment in pull.comments if comment.author.login == author)
        if event.actor == author or event.actor.endswith(("[bot]", "-bot")) or answers >= ANSWERS:
            return
        await self._clock.sleep(self._talk.uniform(*ANSWER_SECONDS))
        self._github.comment(event.repository, pull.number, author, _REPLIES[answers].format(event.actor))

    async def _finish(self, repo: str, pull: Pull) -> None:
        """Approve and merge what has its checklist done."""
        if (repo, pull.number) in self._finishing:
            return
        self._finishing.add((repo, pull.number))
        try:
            await self._clock.sleep(self._talk.uniform(*REVIEW_SECONDS))
            if pull.state == "OPEN" and not _is_approved(pull):
                self._github.review(repo, pull.number, _reviewer(pull), "APPROVED", "The checklist is complete")
            await self._clock.sleep(self._talk.uniform(*REVIEW_SECONDS))
            if pull.state == "OPEN":
                self._github.merge_pull(repo, pull.number)
        finally:
            self._finishing.discard((repo, pull.number))

    def _tick(self, repo: str, number: int) -> None:
        """Tick an item; what has none left is approved, then merged."""
        pull = self._github.pull(repo, number)
        for comment in pull.comments:
            if open_items(comment.body):
                self._github.set_comment_body(repo, comment.id, tick(comment.body))
                return
        if _is_approved(pull):
            self._github.merge_pull(repo, number)
        else:
            self._github.review(repo, number, _reviewer(pull), "APPROVED")

    def _push(self, repo: str, number: int) -> None:
        if self._side_runs >= SIDE_RUNS:
            self._tick(repo, number)
        else:
            self._github.push(repo, number, message="Address the review")

    async def _check(self, repo: str, pull: Pull) -> None:
        numbers = (pull.number,)
        facts = RunFacts(pull.head_branch, "pull_request", pull.head_sha, pull.title, pull.author.login, numbers)
        run_id = start(self._github, repo, CI, facts)
        self._side_runs += 1
        try:
            await self._runner.play(repo, run_id, CI, Checks(model_of(repo), self._yard).works)
        finally:
            self._side_runs -= 1

    def _remark(self, repo: str, number: int) -> None:
        pull = self._github.pull(repo, number)
        if len(pull.comments) >= COMMENTS:
            self._tick(repo, number)
            return
        model = model_of(repo)
        self._github.comment(repo, number, self._random.choice(model.owners), self._random.choice(_REMARKS))

    def _open(self, repo: str) -> int:
        model = model_of(repo)
        self._titles += 1
        title = _TITLES[self._titles % len(_TITLES)].format(model.title)
        files = changed_files(model, touches_data=self._titles % 2 == 0)
        author, reviewer = self._random.sample(model.owners, 2)
        number = self._github.open_pull(
            repo, title=title, body=description(model, title), author=author, head_branch=branch_name(title),
            base_branch="dev", labels=("model",), files=files, requested_reviewers=(reviewer,),
        )  # fmt: skip
        self._github.comment(repo, number, "github-actions[bot]", checklist(files))
        return number


def model_of(repo: str) -> Model:
    """Return the model whose repository this is."""
    return next(model for model in MODELS if model.repository == repo)


def _is_approved(pull: Pull) -> bool:
    return any(review.state == "APPROVED" for review in pull.reviews)


def _reviewer(pull: Pull) -> str:
    owners = model_of(pull.repository.full_name).owners
    return next(owner for owner in owners if owner != pull.author.login)
