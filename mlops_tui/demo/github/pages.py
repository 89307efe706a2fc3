"""Pages for people: where `html_url` leads. They only show; nothing on them asks for a token, or runs."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mlops_tui.demo.github.contents import compare, history
from mlops_tui.demo.github.html import HEADERS, Markup, Part, document, table, tag
from mlops_tui.demo.github.logs import has_log, sections
from mlops_tui.demo.github.model import ChangedFile, Commit, Job, Pull, Release, Repository, Run
from mlops_tui.demo.github.rest_repositories import checks_of
from mlops_tui.demo.github.store import GitHubStore
from mlops_tui.demo.github.world import NotFoundError

LISTED: Final = 30
"""Rows of a list; the rest is what the API is for."""
_GOOD: Final = frozenset(("success", "approved", "merged", "open", "APPROVED", "SUCCESS", "added"))
_BAD: Final = frozenset(
    ("failure", "error", "timed_out", "startup_failure", "rejected", "closed", "CHANGES_REQUESTED", "removed")
)  # fmt: skip
_QUIET: Final = frozenset(("skipped", "neutral", "cancelled", "inactive", "COMMENTED", "DISMISSED", "modified"))
_GLYPHS: Final = {"ok": "✓", "bad": "✗", "wait": "●", "": "–"}


@dataclass(frozen=True, slots=True)
class View:
    """Who is to be shown what.

    Attributes:
        params: The parts of the address.
    """

    store: GitHubStore
    repository: Repository
    params: dict[str, Any]

    def link(self, *parts: object) -> str:
        """Return the address of a page of the repository."""
        return "/".join(("", *(quote(str(part), safe="/#.") for part in (self.repository.full_name, *parts))))

    def to(self, text: object, *parts: object) -> Markup:
        return tag("a", tag("bdi", str(text)), link=self.link(*parts))


Page = tuple[str, list[Part]]
"""A title, and what is below it."""


def routes(store: GitHubStore) -> list[Route]:
    """Return the addresses of all pages."""
    return [Route(path, _endpoint(store, show), methods=["GET"]) for path, show in _PAGES]


def not_found(said: str = "There is no such page.") -> Response:
    """Return the page that says that there is none."""
    return Response(document("Not found", tag("h1", "Not found"), tag("p", said)), 404, HEADERS)


def _endpoint(store: GitHubStore, show: Callable[[View], Page]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        params = request.path_params
        try:
            view = View(store, store.repository(f"{params['owner']}/{params['repo']}"), params)
            title, parts = show(view)
        except NotFoundError as error:
            return not_found(f"There is {error}.")
        full_name = view.repository.full_name
        sections_of = ("actions", "pulls", "releases", "deployments")
        bar = tag("nav", tag("strong", view.to(full_name)), [view.to(name.title(), name) for name in sections_of])
        return Response(document(f"{title} · {full_name}", bar, tag("h1", tag("bdi", title)), *parts), 200, HEADERS)

    return answer


def _home(view: View) -> Page:
    repo = view.repository
    found = history(repo, repo.commits[repo.branches[repo.default_branch]])[:LISTED]
    return repo.full_name, [
        *_section("Runs", _runs(view, repo.timeline[-10:][::-1])),
        *_section("Open pull requests", _pulls(view, [pull for pull in repo.pulls.values() if pull.state == "OPEN"])),
        *_section("Releases", _releases(view, repo.releases[:5])),
        *_section(f"Commits of {repo.default_branch}", _commits(view, found)),
    ]


def _actions(view: View) -> Page:
    return "Workflow runs", [table(_runs(view, view.repository.timeline[-LISTED:][::-1]))]


def _all_pulls(view: View) -> Page:
    newest = sorted(view.repository.pulls.values(), key=lambda pull: (pull.state != "OPEN", -pull.number))
    return "Pull requests", [table(_pulls(view, newest[:LISTED]))]


def _all_releases(view: View) -> Page:
    return "Releases", [table(_releases(view, view.repository.releases[:LISTED]))]


def _deployments(view: View) -> Page:
    newest = sorted(view.repository.deployments.values(), key=lambda entry: (entry.created_at, entry.id), reverse=True)
    return "Deployments", [
        table(
            (
                _state(entry.state),
                entry.environment,
                [entry.ref, " ", view.to(entry.sha[:7], "commit", entry.sha)],
                _time(entry.updated_at),
                view.to(entry.job.name, "actions", "runs", entry.job.run.id, "job", entry.job.id) if entry.job else "",
            )
            for entry in newest[:LISTED]
        )
    ]


def _run(view: View) -> Page:
    run = _run_of(view)
    latest = run.latest
    facts: list[tuple[Part, ...]] = [
        ("Status", _state(latest.conclusion or latest.status)),
        ("Workflow", f"{run.workflow.name} #{run.number}, attempt {latest.number}"),
        ("Started by", [run.event, " by ", tag("bdi", latest.actor.login), " on ", _time(latest.started_at)]),
        ("Commit", [run.branch, " ", view.to(run.head_sha[:7], "commit", run.head_sha)]),
        ("Pull requests", [[view.to(f"#{number}", "pull", number), " "] for number in run.pull_numbers]),
        *((f"Waits for {name}", _state("waiting")) for name in run.pending),
        *(
            (f"{given.state.title()} for {given.environment}", [tag("bdi", given.user.login), ": ", given.comment])
            for given in run.approvals
        ),
        *((artifact.name, "artifact") for artifact in run.artifacts.values()),
    ]
    jobs = (_job_row(view, job) for job in latest.jobs)
    return run.title, [table(facts), *_section("Jobs", jobs), *_annotations(latest.jobs)]


def _job(view: View) -> Page:
    run, number = _run_of(view), view.params["job_id"]
    job = view.repository.jobs.get(number)
    if job is None or job.run is not run:
        raise NotFoundError(f"no job {number} in run {run.id}")
    written = sections(job, view.store.clock.now()) if has_log(job) else []
    logs = {section.number: "\n".join(section.lines) for section in written}
    steps = [
        tag(
            "details",
            tag("summary", _state(step.conclusion or step.status), " ", tag("bdi", step.name)),
            tag("pre", logs[step.number]) if logs.get(step.number) else "",
        )
        for step in job.steps
    ]
    facts: list[tuple[Part, ...]] = [
        ("Status", _state(job.conclusion or job.status)),
        ("Run", view.to(run.title, "actions", "runs", run.id)),
        ("Attempt", job.attempt),
        ("Started", _time(job.started_at)),
        ("Completed", _time(job.completed_at)),
    ]
    return job.name, [table(facts), tag("h2", "Steps"), *steps, *_annotations([job])]


def _pull(view: View) -> Page:
    number = view.params["number"]
    pull = view.store.pull(view.repository.full_name, number)
    state = "draft" if pull.draft and pull.state == "OPEN" else pull.state.lower()
    head = pull.repository.commits[pull.head_sha]
    facts: list[tuple[Part, ...]] = [
        ("State", _state(state)),
        ("Author", tag("bdi", pull.author.login)),
        ("Branches", [pull.head_branch, " → ", pull.base_branch]),
        ("Head", view.to(pull.head_sha[:7], "commit", pull.head_sha)),
        ("Labels", ", ".join(pull.labels)),
        ("Opened", _time(pull.created_at)),
        ("Updated", _time(pull.updated_at)),
    ]
    reviews = ((_state(entry.state), tag("bdi", entry.author.login), _time(entry.submitted_at), entry.body)
               for entry in pull.reviews)  # fmt: skip
    remarks: list[Part] = []
    for comment in pull.comments:
        said = [tag("bdi", comment.author.login), ", ", _time(comment.created_at)]
        remarks += [tag("h2", said), tag("pre", comment.body)]
    return f"{pull.title} #{number}", [
        table(facts),
        tag("pre", pull.body) if pull.body else "",
        *_section("Reviews", reviews),
        *_section("Checks", _checks(view, head)),
        *_section("Files", _files(pull.files)),
        *remarks,
    ]


def _commit(view: View) -> Page:
    commit = view.store.resolve(view.repository.full_name, view.params["sha"])
    title, _, rest = commit.message.partition("\n")
    pulls = [pull for pull in view.repository.pulls.values() if commit.sha in (*pull.commits, pull.merge_sha)]
    facts: list[tuple[Part, ...]] = [
        ("Commit", commit.sha),
        ("Author", tag("bdi", commit.author.login)),
        ("Date", _time(commit.date)),
        ("Parents", [[view.to(sha[:7], "commit", sha), " "] for sha in commit.parents]),
        ("Pull requests", [[view.to(f"#{pull.number}", "pull", pull.number), " "] for pull in pulls]),
    ]
    runs = view.repository.runs_of_sha.get(commit.sha, [])
    return title, [
        table(facts),
        tag("pre", rest.strip()) if rest.strip() else "",
        *_section("Runs", _runs(view, runs)),
        *_section("Checks", _checks(view, commit)),
        *_section("Files", _files(commit.files)),
        *(tag("details", tag("summary", file.path), tag("pre", file.patch)) for file in commit.files),
    ]


def _release(view: View) -> Page:
    for release in view.repository.releases:
        if release.tag == view.params["tag"] and not release.draft:
            sha = view.repository.tags.get(release.tag, "")
            facts: list[tuple[Part, ...]] = [
                ("Tag", release.tag),
                ("Commit", view.to(sha[:7], "commit", sha) if sha else ""),
                ("Author", tag("bdi", release.author.login)),
                ("Published", _time(release.published_at)),
            ]
            return release.name, [table(facts), tag("pre", release.body) if release.body else ""]
    raise NotFoundError(f"no release {view.params['tag']} in {view.repository.full_name}")


def _check(view: View) -> Page:
    for checks in view.repository.checks.values():
        for check in checks.values():
            if check.id == view.params["check_id"]:
                facts: list[tuple[Part, ...]] = [
                    ("Status", _state(check.conclusion or check.status)),
                    ("Commit", view.to(check.head_sha[:7], "commit", check.head_sha)),
                    ("Title", check.title),
                    ("Completed", _time(check.completed_at)),
                ]
                return check.name, [table(facts), tag("pre", check.summary) if check.summary else ""]
    raise NotFoundError(f"no check {view.params['check_id']} in {view.repository.full_name}")


def _file(view: View) -> Page:
    parts = view.params["rest"].split("/")
    name = view.repository.full_name
    # A branch's name may have slashes, so that only the repository knows where it ends.
    for cut in range(1, len(parts)):
        ref, path = "/".join(parts[:cut]), "/".join(parts[cut:])
        try:
            return path, [tag("p", tag("small", ref)), tag("pre", view.store.file_text(name, path, ref))]
        except NotFoundError:
            continue
    raise NotFoundError(f"no file {view.params['rest']} in {name}")


def _comparison(view: View) -> Page:
    name = view.repository.full_name
    base, _, head = view.params["basehead"].partition("...")
    ends = [view.store.resolve(name, end.rpartition(":")[2]) for end in (base, head)]
    found = compare(view.repository, *ends)
    said = f"{found.status}: {len(found.ahead)} ahead, {found.behind} behind"
    return f"{base} … {head}", [
        tag("p", said),
        *_section("Commits", _commits(view, found.ahead[:LISTED])),
        *_section("Files", _files(found.files)),
    ]


_PAGES: Final[tuple[tuple[str, Callable[[View], Page]], ...]] = tuple(
    (f"/{{owner}}/{{repo}}{path}", show)
    for path, show in (
        ("", _home),
        ("/actions", _actions),
        ("/actions/runs/{run_id:int}", _run),
        ("/actions/runs/{run_id:int}/job/{job_id:int}", _job),
        ("/pulls", _all_pulls),
        ("/pull/{number:int}", _pull),
        ("/commit/{sha}", _commit),
        ("/releases", _all_releases),
        ("/releases/tag/{tag:path}", _release),
        ("/deployments/{rest:path}", _deployments),
        ("/deployments", _deployments),
        ("/runs/{check_id:int}", _check),
        ("/blob/{rest:path}", _file),
        ("/compare/{basehead:path}", _comparison),
    )
)


def _run_of(view: View) -> Run:
    return view.store.run(view.repository.full_name, view.params["run_id"])


def _section(title: str, rows: Iterable[tuple[Part, ...]]) -> list[Part]:
    found = list(rows)
    return [tag("h2", title), table(found)] if found else []


def _runs(view: View, runs: Iterable[Run]) -> list[tuple[Part, ...]]:
    return [
        (
            _state(run.latest.conclusion or run.latest.status),
            view.to(run.title, "actions", "runs", run.id),
            f"{run.workflow.name} #{run.number}",
            run.branch,
            _time(run.created_at),
        )
        for run in runs
    ]


def _pulls(view: View, pulls: Iterable[Pull]) -> list[tuple[Part, ...]]:
    return [
        (
            _state(pull.state.lower()),
            view.to(f"{pull.title} #{pull.number}", "pull", pull.number),
            tag("bdi", pull.author.login),
            _time(pull.updated_at),
        )
        for pull in pulls
    ]


def _releases(view: View, releases: Iterable[Release]) -> list[tuple[Part, ...]]:
    return [
        (view.to(entry.name, "releases", "tag", entry.tag), entry.tag, _time(entry.published_at))
        for entry in releases
        if not entry.draft
    ]


def _commits(view: View, commits: Iterable[Commit]) -> list[tuple[Part, ...]]:
    return [
        (
            view.to(commit.sha[:7], "commit", commit.sha),
            commit.message.partition("\n")[0],
            tag("bdi", commit.author.login),
            _time(commit.date),
        )
        for commit in commits
    ]


def _checks(view: View, commit: Commit) -> list[tuple[Part, ...]]:
    rows: list[tuple[Part, ...]] = []
    for check in checks_of(commit.repository, commit.sha):
        if isinstance(check, Job):
            rows.append(_job_row(view, check))
        else:
            rows.append((_state(check.conclusion or check.status), view.to(check.name, "runs", check.id), check.title))
    statuses = commit.repository.statuses.get(commit.sha, {}).values()
    return rows + [(_state(entry.state), entry.context, entry.description) for entry in statuses]


def _job_row(view: View, job: Job) -> tuple[Part, ...]:
    return (
        _state(job.conclusion or job.status),
        view.to(job.name, "actions", "runs", job.run.id, "job", job.id),
        _time(job.started_at),
    )


def _files(files: Iterable[ChangedFile]) -> list[tuple[Part, ...]]:
    return [(_state(file.status), file.path, f"+{file.additions} −{file.deletions}") for file in files]


def _annotations(jobs: Iterable[Job]) -> list[Part]:
    return _section(
        "Annotations",
        ((_state(entry.level), f"{job.name}: {entry.path}:{entry.line}", entry.message) for job in jobs
         for entry in job.annotations),
    )  # fmt: skip


def _state(word: str) -> Markup:
    kind = "ok" if word in _GOOD else "bad" if word in _BAD else "" if word in _QUIET else "wait"
    return tag("span", f"{_GLYPHS[kind]} {word.replace('_', ' ').lower()}", kind=kind)


def _time(moment: datetime | None) -> Markup:
    return tag("small", f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "")
