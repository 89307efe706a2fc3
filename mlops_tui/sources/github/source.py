"""The GitHub source: workflow runs and open pull requests of several repositories."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import TypeVar
from urllib.parse import quote

from mlops_tui.domain.base import DetailField, DetailSection, RowKind, RowRef
from mlops_tui.domain.clock import Clock
from mlops_tui.domain.errors import Denied, RateLimited, SourceError, Unauthenticated, Unavailable
from mlops_tui.domain.pull import PullRow
from mlops_tui.domain.rows import Row
from mlops_tui.domain.state import Probe, SourceKind, SourceStatus
from mlops_tui.domain.workflow import RunRow, quiet_superseded
from mlops_tui.sources.base import Cadence, Delta, SourceInfo
from mlops_tui.sources.github import details
from mlops_tui.sources.github.access import WRITES
from mlops_tui.sources.github.acting import GitHubActor, introduce, study
from mlops_tui.sources.github.client import GitHubClient, QueriesSpent, Unreachable, open_client, path_with
from mlops_tui.sources.github.probe import probe_client, refused
from mlops_tui.sources.github.queries import PULL_DETAIL, PULLS
from mlops_tui.sources.github.rows import PullHead, awaiting, environment_names, pull_heads, run_rows
from mlops_tui.sources.github.session import (
    SMALLEST_BATCH,
    PullState,
    Repository,
    Session,
    Wanted,
    checks_denied,
    other_errors,
    read_pulls,
)
from mlops_tui.sources.github.target import GitHubTarget, find_repositories

SWEEP = 600.0
"""Seconds between two readings of all pull requests, for what changes neither a list nor a run: statuses that other
systems report, a push to the base branch."""
PULL_PAGES = 20
"""Pages of 100 open pull requests that are read of a repository."""
JOB_PAGES = 5
"""Pages of 100 jobs that are read of a run; a matrix has at most 256."""
STUDIED = 5
"""Repositories that are asked in a cycle what we may do in them, once each: the board does not wait for many."""
CLOSING = 1.0
"""Seconds to wait for the worker when closing; a request that is under way ends by its own timeout."""

T = TypeVar("T")
Publish = Callable[[Delta], None]


class GitHubSource:
    """Implements `Source` on PyGithub, in one worker thread.

    A cycle is many small jobs of that thread, each one request, and waits for one before it hands in the next: so what
    somebody opens on the screen waits for one request at most, never for a whole cycle.
    """

    def __init__(self, target: GitHubTarget, clock: Clock) -> None:
        self.info = SourceInfo(target.source_id, SourceKind.GITHUB, target.host, target.environments)
        self.cadence = Cadence(active=12.0, idle=60.0)
        self._target = target
        self._clock = clock
        self._worker = ThreadPoolExecutor(1, thread_name_prefix=target.source_id)
        self._opening = asyncio.Lock()
        self._session: Session | None = None
        self._known: dict[str, Repository] = {}
        """What the session before knew of each repository."""
        self._shown: dict[tuple[str, RowKind], dict[str, Row]] = {}
        self._closed = False
        self.actor = GitHubActor(self._open, self._job)

    async def cycle(self, publish: Publish) -> None:
        session = await self._open()
        try:
            await self._read(session, publish)
        except Unauthenticated:
            self.forget()  # a new token may be there next time
            raise

    def forget(self) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        self._known = {repository.name: repository for repository in session.repositories}
        if not self._closed:
            self._worker.submit(session.client.close)

    async def detail(self, ref: RowRef) -> tuple[DetailSection, ...]:
        row = next((rows[ref.key] for rows in self._shown.values() if ref.key in rows), None)
        if isinstance(row, RunRow):
            return await self._run_detail(row)
        return await self._pull_detail(row) if isinstance(row, PullRow) else ()

    async def probe(self) -> Probe:
        try:
            session = await self._open()
            names = [repository.name for repository in session.repositories]
            probe = await probe_client(self.info, self._target, self._clock, partial(self._job, session.client), names)
            return await self._with_changes(session, probe)
        except SourceError as error:
            return refused(self.info, self._target, error)
        except Exception as error:  # noqa: BLE001 - a diagnosis that fails is a diagnosis
            return refused(self.info, self._target, Unavailable(f"internal error: {type(error).__name__}"))

    async def _with_changes(self, session: Session, probe: Probe) -> Probe:
        """Add to a probe what is known of what the token may change."""
        found = []
        if probe.status is SourceStatus.LIVE:
            if session.identity is None:
                await introduce(session, self._job)
            for repository in session.repositories:
                await study(session, self._job, repository.name)
                found += [session.permission(repository.name, name) for name in WRITES]
        known = tuple(permission for permission in found if permission.allowed is not None)
        return probe.model_copy(update={"permissions": (*probe.permissions, *known)})

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if session := self._session:
            closing = asyncio.get_running_loop().run_in_executor(self._worker, session.client.close)
            await asyncio.wait({closing}, timeout=CLOSING)
        self._worker.shutdown(wait=False)

    # --- one cycle

    async def _read(self, session: Session, publish: Publish) -> None:
        now = self._clock.monotonic()
        sweep = session.swept_at is None or now - session.swept_at >= SWEEP
        wanted: list[Wanted] = []
        for repository in session.repositories:
            if await self._attempt(repository, RowKind.RUN, self._read_runs(session, repository)):
                self._show(publish, repository.name, RowKind.RUN, repository.runs)
            heads = await self._attempt(repository, RowKind.PULL, self._read_heads(session, repository))
            if heads is not None:
                wanted += repository.wanted(heads.values(), now, everything=sweep)
                repository.pulls = {n: state for n, state in repository.pulls.items() if n in heads}
                self._show(publish, repository.name, RowKind.PULL, repository.pull_rows())
        if await self._read_pulls(session, wanted, publish):
            session.swept_at = now if sweep else session.swept_at
            for repository in session.repositories:
                repository.commits.clear()
        if failure := session.failure():
            raise failure
        await self._finish(session, publish)

    async def _attempt(self, repository: Repository, part: RowKind, reading: Awaitable[T]) -> T | None:
        """Return what `reading` brings; `None` if it fails, which is then this repository's failure alone."""
        try:
            result = await reading
        except (Unreachable, RateLimited, Unauthenticated):
            raise
        except SourceError as error:
            repository.failures[part] = error
            return None
        repository.failures.pop(part, None)
        return result

    async def _read_runs(self, session: Session, repository: Repository) -> bool:
        runs: dict[str, RunRow] = {}
        project = partial(run_rows, self.info.id, repository.name)
        path: str | None = path_with(_api(repository.name, "actions/runs"), per_page=min(100, self._target.runs))
        while path and len(runs) < self._target.runs:
            page, path = await self._job(session.client, GitHubClient.page, path, project)
            runs.update((run.key, run) for run in page)
            if not page:
                break
        newest = quiet_superseded(list(runs.values())[: self._target.runs])
        waiting = [run for run in newest if run.status == "waiting"]
        approvals = {_attempt_of(run): await self._environments(session, repository, run) for run in waiting}
        repository.approvals = {attempt: names for attempt, names in approvals.items() if names is not None}
        named = (awaiting(run, approvals.get(_attempt_of(run)) or ()) if run in waiting else run for run in newest)
        before, repository.runs = repository.runs, {run.key: run for run in named}
        repository.commits |= {run.head_sha for key, run in repository.runs.items() if before.get(key) != run}
        return True

    async def _environments(self, session: Session, repository: Repository, run: RunRow) -> tuple[str, ...] | None:
        """Return the environments that a run waits for; `None` where that cannot be read now."""
        known = repository.approvals.get(_attempt_of(run))
        if known is not None:
            return known
        path = _api(repository.name, f"actions/runs/{run.run_id}/pending_deployments")
        try:
            answer = await self._job(session.client, GitHubClient.get, path)
            return session.client.projected(environment_names, answer.data)
        except Denied:
            return ()
        except Unreachable:
            raise
        except Unavailable:
            return None

    async def _read_heads(self, session: Session, repository: Repository) -> dict[int, PullHead]:
        heads: dict[int, PullHead] = {}
        parameters = {"state": "open", "sort": "updated", "direction": "desc", "per_page": 100}
        path: str | None = path_with(_api(repository.name, "pulls"), **parameters)
        for _ in range(PULL_PAGES):
            if not path:
                break
            page, path = await self._job(session.client, GitHubClient.page, path, pull_heads)
            heads.update((head.number, head) for head in page)
        return heads

    async def _read_pulls(self, session: Session, wanted: Sequence[Wanted], publish: Publish) -> bool:
        """Ask for the pull requests that may have changed; return whether all of them answered."""
        complete, size = True, session.batch
        for start in range(0, len(wanted), size):
            batch = wanted[start : start + size]
            repositories = {repository.name: repository for repository, _ in batch}
            try:
                states = await self._query_pulls(session, batch)
            except QueriesSpent as error:
                for repository, _ in wanted[start:]:
                    repository.failures[RowKind.PULL] = error
                return False
            except (Unreachable, RateLimited, Unauthenticated):
                raise
            except SourceError as error:
                complete, session.batch = False, max(SMALLEST_BATCH, size // 2)
                for repository in repositories.values():
                    repository.failures[RowKind.PULL] = error
                continue
            for repository, state in states:
                repository.pulls[state.head.number] = state
            for repository in repositories.values():
                self._show(publish, repository.name, RowKind.PULL, repository.pull_rows())
        return complete

    async def _query_pulls(self, session: Session, wanted: Sequence[Wanted]) -> list[tuple[Repository, PullState]]:
        if session.spent and self._clock.now() < session.spent.until:
            raise session.spent
        try:
            return await self._job(session.client, _ask_pulls, self.info.id, wanted, self._clock)
        except QueriesSpent as error:
            session.spent = error
            raise

    def _show(self, publish: Publish, name: str, kind: RowKind, rows: Mapping[str, Row]) -> None:
        """Publish how the rows of one repository and kind differ from what was published before."""
        before = self._shown.get((name, kind), {})
        upserts = [row for key, row in rows.items() if before.get(key) != row]
        removals = [key for key in before if key not in rows]
        self._shown[name, kind] = dict(rows)
        if upserts or removals:
            publish(Delta(upserts=upserts, removals=removals))

    async def _finish(self, session: Session, publish: Publish) -> None:
        if session.identity is None:
            # Asked again in the next cycle where nobody says it now.
            with contextlib.suppress(Denied, Unavailable):
                await introduce(session, self._job)
        identity = session.identity if session.identity != session.shown_identity else None
        session.shown_identity = session.identity
        unknown = [each.name for each in session.repositories if each.name.casefold() not in session.facts]
        for name in unknown[:STUDIED]:
            await study(session, self._job, name)
        quota = session.quota(self._clock.now())
        problems = tuple(problem for repository in session.repositories for problem in repository.problems())
        permissions = session.permissions()
        said = (problems, permissions)
        news = said != session.said
        if not session.whole:
            names = {repository.name for repository in session.repositories}
            self._shown = {part: rows for part, rows in self._shown.items() if part[0] in names}
        everything = () if session.whole else [row for rows in self._shown.values() for row in rows.values()]
        publish(
            Delta(
                upserts=everything,
                complete=not session.whole,
                quota=quota,
                identity=identity,
                problems=problems if news else None,
                permissions=permissions if news else None,
            )
        )
        session.said, session.whole = said, True

    # --- details

    async def _run_detail(self, run: RunRow) -> tuple[DetailSection, ...]:
        session, jobs = await self._open(), []
        for page in range(1, JOB_PAGES + 1):
            path = _api(run.repository, f"actions/runs/{run.run_id}/jobs")
            answer = await self._job(session.client, GitHubClient.get, path_with(path, per_page=100, page=page))
            found, total = session.client.projected(lambda data: (data["jobs"], data["total_count"]), answer.data)
            jobs += found
            if not found or len(jobs) >= total:
                break
        now = self._clock.now()
        section = session.client.projected(lambda found: details.jobs_section(found, now), jobs)
        return section, details.run_facts(run, now)

    async def _pull_detail(self, pull: PullRow) -> tuple[DetailSection, ...]:
        session = await self._open()
        repository = next((found for found in session.repositories if found.name == pull.repository), None)
        state = repository.pulls.get(pull.number) if repository else None
        checklist = details.checklist_sections(pull)
        if state is None:
            return checklist
        answer = await self._job(session.client, GitHubClient.query, PULL_DETAIL, {"id": state.head.node_id})
        node = answer.data.get("node")
        missing = other_errors(answer.errors)
        if not isinstance(node, dict):
            raise Unavailable(f"GitHub does not show it: {missing[0] if missing else 'not found'}")
        denied = checks_denied(answer.errors)
        checks = session.client.projected(lambda found: details.checks_section(found, denied=denied), node)
        reviews = session.client.projected(details.reviews_section, node)
        fields = tuple(DetailField(label="GitHub says", value=text) for text in missing)
        return *checklist, checks, reviews, *([DetailSection(title="Not shown", fields=fields)] if fields else [])

    # --- the worker

    async def _open(self) -> Session:
        async with self._opening:
            if self._session is None:
                client, names = await self._submit(self._sign_in)
                repositories = (self._known.get(name, Repository(name)).renewed() for name in names)
                self._session = Session(client, tuple(repositories))
            return self._session

    def _sign_in(self) -> tuple[GitHubClient, tuple[str, ...]]:
        names = find_repositories(self._target)
        return open_client(self._target, self._clock), names

    async def _job(self, client: GitHubClient, call: Callable[..., T], *arguments: object) -> T:
        """Run `call(client, …)` in the worker."""
        return await self._submit(partial(call, client, *arguments))

    async def _submit(self, call: Callable[[], T]) -> T:
        if self._closed:
            raise Unavailable("the source is closed")
        return await asyncio.get_running_loop().run_in_executor(self._worker, call)


def _ask_pulls(
    client: GitHubClient, source: str, wanted: Sequence[Wanted], clock: Clock
) -> list[tuple[Repository, PullState]]:
    now, asked = clock.monotonic(), clock.now()
    answer = client.query(PULLS, {"ids": [head.node_id for _, head in wanted]})
    return client.projected(lambda found: read_pulls(source, wanted, found, now, asked), answer)


def _api(repository: str, path: str) -> str:
    return f"/repos/{quote(repository)}/{path}"


def _attempt_of(run: RunRow) -> tuple[int, int, datetime | None]:
    return run.run_id, run.attempt, run.updated_at
