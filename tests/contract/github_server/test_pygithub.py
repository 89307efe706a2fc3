"""The real client library, over a socket, at both mounts."""

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.contract.github_server.world import REPO, World

if TYPE_CHECKING:
    from github import Github


@pytest.fixture(params=["", "/api/v3"])
def github(request: pytest.FixtureRequest, served: str) -> Iterator["Github"]:
    import github

    # Importing the library puts a handler on stderr.
    logging.getLogger("github.Requester").handlers.clear()
    client = github.Github(
        auth=github.Auth.Token("full"),
        base_url=served + request.param,
        per_page=2,
        retry=None,
        seconds_between_requests=0,
        seconds_between_writes=0,
        lazy=True,
        timeout=5,
    )
    yield client
    client.close()


def test_the_user_and_the_quota(github: "Github") -> None:
    assert github.get_user().login == "ada"
    assert github.get_rate_limit().rate.limit == 5000


def test_runs_page_by_link_and_bring_their_jobs(github: "Github", world: World) -> None:
    for number in range(4):
        world.store.start_run(
            REPO, "cd.yml", branch="main", event="push", head_sha=world.sha, title=f"{number}", actor="ada", jobs=()
        )
    runs = github.get_repo(REPO).get_workflow_runs()
    assert [run.display_title for run in runs] == ["3", "2", "1", "0", "Bigger embedding"]
    run = github.get_repo(REPO).get_workflow_run(world.run_id)
    assert (run.status, run.name, run.actor.login) == ("waiting", "ML CD Pipeline", "bob")
    assert [(job.name, job.status) for job in run.jobs()] == [
        ("full-training", "completed"),
        ("production-deployment", "waiting"),
    ]
    assert [step.conclusion for step in next(iter(run.jobs())).steps] == ["success"] * 5


def test_a_job_says_where_its_log_is(github: "Github", world: World) -> None:
    job = next(iter(github.get_repo(REPO).get_workflow_run(world.run_id).jobs()))
    answer = httpx.get(job.logs_url())
    assert answer.status_code == 200
    assert "##[group]Run Train" in answer.text


def test_artifacts_of_a_run_are_read_and_deleted(github: "Github", world: World) -> None:
    for name in ("coverage", "training_diagnostics", "report"):
        world.store.add_artifact(REPO, world.run_id, name, {f"{name}.json": "{}"})
    repository = github.get_repo(REPO)
    found = list(repository.get_workflow_run(world.run_id).get_artifacts())
    assert [artifact.name for artifact in found] == ["report", "training_diagnostics", "coverage"]
    (named,) = repository.get_artifacts(name="coverage")
    assert (named.id, named.expired, named.workflow_run.id) == (found[2].id, False, world.run_id)
    assert repository.get_artifact(named.id).size_in_bytes == named.size_in_bytes
    assert named.delete() is True
    assert repository.get_artifacts().totalCount == 2


def test_a_run_is_timed_rerun_and_deleted(github: "Github", world: World) -> None:
    world.store.complete_run(REPO, world.run_id, "failure")
    run = github.get_repo(REPO).get_workflow_run(world.run_id)
    assert run.timing().run_duration_ms == 0
    assert run.rerun_failed_jobs() is True
    world.store.complete_run(REPO, world.run_id, "cancelled")
    assert run.delete() is True
    assert world.store.repository(REPO).runs == {}


def test_annotations_of_a_check(github: "Github", world: World) -> None:
    world.store.annotate(REPO, world.run_id, "full-training", level="warning", message="slow", path="src/a.py")
    check = next(iter(github.get_repo(REPO).get_commit(world.sha).get_check_runs()))
    assert check.output.annotations_count == 1
    (annotation,) = check.get_annotations()
    assert (annotation.annotation_level, annotation.message, annotation.path) == ("warning", "slow", "src/a.py")


def test_pull_requests_with_what_hangs_on_them(github: "Github", world: World) -> None:
    (pull,) = github.get_repo(REPO).get_pulls()
    assert (pull.number, pull.title, pull.head.sha) == (world.pull, "Bigger embedding", world.sha)
    assert pull.mergeable is True
    assert [file.filename for file in pull.get_files()] == ["src/model.py", "data/train.dvc"]
    assert [review.state for review in pull.get_reviews()] == ["APPROVED"]
    assert [comment.id for comment in pull.get_issue_comments()] == [world.comment_id]
    checks = github.get_repo(REPO).get_commit(world.sha).get_check_runs()
    assert [check.name for check in checks] == ["full-training", "production-deployment", "coverage"]


def test_a_conditional_request_is_304(github: "Github") -> None:
    url = f"/repos/{REPO}/pulls?state=open&per_page=100"
    status, headers, _ = github.requester.requestJson("GET", url)
    assert status == 200
    again, _, body = github.requester.requestJson("GET", url, headers={"If-None-Match": headers["etag"]})
    assert (again, body) == (304, "")


def test_graphql_is_found_from_the_base_url(github: "Github", world: World) -> None:
    query = """query($owner: String!, $name: String!) { repository(owner: $owner, name: $name) {
      pullRequests(first: 10) { nodes { number } } } }"""
    _, answer = github.requester.graphql_query(query, {"owner": "acme", "name": "fraud"})
    assert answer["data"]["repository"]["pullRequests"]["nodes"] == [{"number": world.pull}]


def test_errors_become_the_librarys_own(github: "Github", world: World) -> None:
    from github import BadCredentialsException, UnknownObjectException

    with pytest.raises(UnknownObjectException):
        github.get_repo("acme/none").get_pull(1).title  # noqa: B018
    world.store.tokens.pop("full")
    with pytest.raises(BadCredentialsException):
        github.get_user().login  # noqa: B018


def test_writes_arrive(github: "Github", world: World) -> None:
    repository = github.get_repo(REPO)
    comment = repository.get_pull(world.pull).create_issue_comment("hello")
    comment.edit("hello again")
    assert world.store.comment_of(REPO, comment.id).body == "hello again"
    run = repository.get_workflow_run(world.run_id)
    assert run.cancel() is True
    assert run.rerun() is True
    assert world.store.run(REPO, world.run_id).latest.number == 2
    assert repository.get_workflow("cd.yml").create_dispatch("main") is True
