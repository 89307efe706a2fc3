"""What can go wrong in CI: data that cannot be pulled until a secret is renewed, and a test that depends on luck."""

from typing import Final

from mlops_tui.demo.logbook import usual_lines
from mlops_tui.demo.runner import Console, Works
from mlops_tui.demo.story import Model
from mlops_tui.demo.troubles import EXPIRED_CREDENTIALS, FLAKY_TEST, Occurrence, lines_of
from mlops_tui.demo.yard import EXPECTED, Yard

_SECRET: Final = "DVC_REMOTE_TOKEN"


class Checks:
    """The steps of CI that can fail.

    Args:
        troubled: Whether something may begin to go wrong here; what is wrong already hits every run.
    """

    def __init__(self, model: Model, yard: Yard, *, troubled: bool = False) -> None:
        self._model = model
        self._yard = yard
        self._troubled = troubled
        self.works: Works = {
            ("data-validation", "DVC pull"): self._pull_data,
            ("model-training-test", "DVC pull"): self._pull_data,
            ("full-training", "DVC pull"): self._pull_data,
            ("unit-tests", "Pytest with coverage"): self._test,
        }

    async def _pull_data(self, console: Console) -> bool:
        director, model = self._yard.director, self._model
        expired = director.find(EXPIRED_CREDENTIALS, model)
        if expired is None and self._troubled and console.job == EXPIRED_CREDENTIALS.job:
            expired = director.claim(EXPIRED_CREDENTIALS, model)
            if expired is not None:
                self._yard.spawn(self._renew(expired, console.run.pull_numbers))
        if expired is None:
            self._usual(console, "DVC pull")
            return True
        self._fail(console, expired)
        return False

    async def _renew(self, occurrence: Occurrence, pulls: tuple[int, ...]) -> None:
        """Renew the repository's secret after a while, and say so where it was missed."""
        director, model = self._yard.director, self._model
        await self._yard.clock.sleep(director.patience(occurrence))
        director.end(occurrence)
        for number in pulls:
            try:
                text = f"Renewed `{_SECRET}`: the data can be pulled again."
                self._yard.github.comment(model.repository, number, model.owners[0], text)
            except EXPECTED:
                return

    async def _test(self, console: Console) -> bool:
        director, model = self._yard.director, self._model
        about = console.run.id
        flaky = director.find(FLAKY_TEST, model, about)
        if flaky is not None:
            director.end(flaky)
        elif self._troubled and console.attempt == 1:
            flaky = director.claim(FLAKY_TEST, model, about)
            if flaky is not None:
                self._fail(console, flaky)
                return False
        self._usual(console, "Pytest with coverage")
        return True

    @staticmethod
    def _usual(console: Console, step: str) -> None:
        console.log(*usual_lines(step, console.run.head_sha))

    def _fail(self, console: Console, occurrence: Occurrence) -> None:
        console.log(*lines_of(occurrence.trouble, self._model))
        if occurrence.trouble is FLAKY_TEST:
            console.annotate(occurrence.trouble.annotation, path="tests/test_network.py", line=87, title="pytest")
        else:
            console.annotate(occurrence.trouble.annotation)
