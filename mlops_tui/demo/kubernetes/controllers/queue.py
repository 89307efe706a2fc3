"""What has to be looked at: at once, or when its time comes."""

import heapq
import itertools

Task = tuple[str, str, str]
"""Controller, namespace, name."""


class WorkQueue:
    """A set of tasks, first in first out, and a heap of tasks that are due later.

    A task that is queued twice is done once, so the work follows from what changed, not from how often.
    """

    def __init__(self) -> None:
        self._ready: dict[Task, None] = {}
        self._timers: list[tuple[float, int, Task]] = []
        self._due: dict[Task, float] = {}
        self._order = itertools.count()

    def add(self, task: Task) -> None:
        """Queue a task for now."""
        self._ready[task] = None

    def add_at(self, due: float, task: Task) -> None:
        """Queue a task for later; of several times for one task, only the earliest counts.

        Args:
            due: Monotonic time in seconds.
        """
        if due < self._due.get(task, float("inf")):
            self._due[task] = due
            heapq.heappush(self._timers, (due, next(self._order), task))

    def promote(self, now: float) -> None:
        """Move what is due by `now` to the tasks that are ready."""
        while self._timers and self._timers[0][0] <= now:
            due, _, task = heapq.heappop(self._timers)
            if self._due.get(task) == due:
                del self._due[task]
                self._ready[task] = None

    def pop(self) -> Task | None:
        """Take the task that has been ready longest."""
        if not self._ready:
            return None
        task = next(iter(self._ready))
        del self._ready[task]
        return task

    @property
    def ready(self) -> bool:
        """Whether there is something to do now."""
        return bool(self._ready)

    @property
    def next_due(self) -> float | None:
        """The monotonic time of the next timer."""
        while self._timers and self._due.get(self._timers[0][2]) != self._timers[0][0]:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None
