"""GraphQL as clients see it; every query is valid by GitHub's whole schema, or refused."""

from typing import Any

import httpx
import pytest
from graphql import (
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
    is_required_argument,
)

from mlops_tui.demo.github.graphql import schema
from tests.contract.github_server.world import REPO, World
from tests.support.github_schema import ContractError, check_graphql, graphql_schema

PULLS = """
query Pulls($owner: String!, $name: String!, $first: Int!, $after: String) {
  viewer { login }
  rateLimit { cost limit remaining used nodeCount resetAt }
  repository(owner: $owner, name: $name) {
    nameWithOwner
    pullRequests(first: $first, after: $after, states: [OPEN], orderBy: {field: CREATED_AT, direction: DESC}) {
      totalCount
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
      nodes { ...Pull }
    }
  }
}
fragment Pull on PullRequest {
  id number title body bodyText url isDraft state createdAt updatedAt mergedAt lastEditedAt
  author { __typename login avatarUrl url }
  headRefName baseRefName headRefOid baseRefOid reviewDecision mergeable
  additions deletions changedFiles totalCommentsCount viewerDidAuthor authorAssociation
  labels(first: 20) { nodes { name color } }
  reviews(first: 20) { nodes { author { login } state submittedAt url commit { oid } } }
  latestReviews(first: 20) { nodes { author { login } state } }
  reviewRequests(first: 5) { nodes { requestedReviewer { ... on User { login } } } }
  comments(last: 20) { totalCount nodes { id fullDatabaseId body author { login } createdAt updatedAt url } }
  files(first: 20) { nodes { path additions deletions changeType } }
  commits(last: 1) { nodes { commit {
    oid messageHeadline committedDate author { name user { login } }
    statusCheckRollup { state contexts(first: 50) {
      totalCount checkRunCount statusContextCount
      pageInfo { hasNextPage endCursor }
      nodes {
        __typename
        ... on CheckRun { name status conclusion detailsUrl databaseId checkSuite { workflowRun {
          databaseId runNumber workflow { name } } app { slug } } }
        ... on StatusContext { context state targetUrl creator { login } }
      }
    } }
  } } }
}
"""


async def _ask(
    client: httpx.AsyncClient, query: str, secret: str = "full", **variables: object
) -> tuple[dict[str, Any], httpx.Response]:
    answer = await client.post(
        "http://ghes.test:8080/api/graphql",
        json={"query": query, "variables": variables},
        headers={"authorization": f"Bearer {secret}"},
    )
    return answer.json(), answer


async def _pulls(client: httpx.AsyncClient, secret: str = "full", first: int = 100, after: str = "") -> dict[str, Any]:
    owner, _, name = REPO.partition("/")
    answer, _ = await _ask(client, PULLS, secret, owner=owner, name=name, first=first, after=after or None)
    return answer


async def test_one_query_tells_all_of_the_open_pull_requests(client: httpx.AsyncClient, world: World) -> None:
    answer = await _pulls(client)
    assert "errors" not in answer
    assert answer["data"]["viewer"] == {"login": "ada"}
    (pull,) = answer["data"]["repository"]["pullRequests"]["nodes"]
    assert pull["url"] == f"http://ghes.test:8080/{REPO}/pull/{world.pull}"
    assert pull["bodyText"] == "tests pass\nreview done"
    assert (pull["state"], pull["reviewDecision"], pull["mergeable"]) == ("OPEN", "APPROVED", "MERGEABLE")
    assert pull["author"]["login"] == "bob"
    assert pull["headRefOid"] == world.sha
    assert [label["name"] for label in pull["labels"]["nodes"]] == ["model"]
    assert [review["state"] for review in pull["latestReviews"]["nodes"]] == ["APPROVED"]
    assert pull["reviewRequests"]["nodes"] == [{"requestedReviewer": {"login": "eve"}}]
    (comment,) = pull["comments"]["nodes"]
    # GraphQL names an app without the suffix that REST gives it.
    assert comment["author"]["login"] == "github-actions"
    assert comment["fullDatabaseId"] == str(world.comment_id)
    (commit,) = pull["commits"]["nodes"]
    rollup = commit["commit"]["statusCheckRollup"]
    assert (rollup["state"], rollup["contexts"]["totalCount"]) == ("PENDING", 4)
    assert [node.get("name") or node["context"] for node in rollup["contexts"]["nodes"]] == [
        "full-training",
        "production-deployment",
        "coverage",
        "dvc/push",
    ]
    job = rollup["contexts"]["nodes"][0]
    assert (job["status"], job["conclusion"]) == ("COMPLETED", "SUCCESS")
    assert job["checkSuite"]["workflowRun"]["databaseId"] == world.run_id > 2**31


async def test_pages_follow_each_other_though_the_list_grows(client: httpx.AsyncClient, world: World) -> None:
    def open_pull(title: str) -> None:
        world.store.open_pull(
            REPO, title=title, body="", author="bob", head_branch=title, base_branch="main", files=["a"]
        )

    for title in ("second", "third"):
        open_pull(title)
    titles: list[str] = []
    after, more = "", True
    while more:
        page = (await _pulls(client, first=1, after=after))["data"]["repository"]["pullRequests"]
        titles += [node["title"] for node in page["nodes"]]
        assert page["pageInfo"]["hasPreviousPage"] is (len(titles) > 1)
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
        if len(titles) == 1:
            open_pull("opened meanwhile")
    assert titles == ["third", "second", "Bigger embedding"]


async def test_checks_that_may_not_be_read_are_null_with_an_error(client: httpx.AsyncClient) -> None:
    answer = await _pulls(client, "unchecked")
    (pull,) = answer["data"]["repository"]["pullRequests"]["nodes"]
    assert pull["commits"]["nodes"][0]["commit"]["statusCheckRollup"] is None
    (error,) = answer["errors"]
    assert (error["type"], error["message"]) == ("FORBIDDEN", "Resource not accessible by personal access token")
    assert error["path"][-1] == "statusCheckRollup"


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ([], "PENDING"),
        ([("coverage", "failure")], "FAILURE"),
        ([("coverage", "cancelled")], "FAILURE"),
    ],
)
async def test_the_worst_check_wins(
    client: httpx.AsyncClient, world: World, changes: list[tuple[str, str]], state: str
) -> None:
    for name, conclusion in changes:
        world.store.set_check(REPO, world.sha, name, "completed", conclusion)
    (pull,) = (await _pulls(client))["data"]["repository"]["pullRequests"]["nodes"]
    assert pull["commits"]["nodes"][0]["commit"]["statusCheckRollup"]["state"] == state


async def test_no_checks_are_no_rollup(client: httpx.AsyncClient, world: World) -> None:
    number = world.store.open_pull(
        REPO, title="docs", body="", author="bob", head_branch="docs", base_branch="main", files=["a"]
    )
    query = """query($n: Int!) { repository(owner: "acme", name: "fraud") { pullRequest(number: $n) {
      commits(last: 1) { nodes { commit { statusCheckRollup { state } } } } } } }"""
    answer, _ = await _ask(client, query, n=number)
    assert answer["data"]["repository"]["pullRequest"]["commits"]["nodes"] == [{"commit": {"statusCheckRollup": None}}]


@pytest.mark.parametrize(
    ("reviews", "decision"),
    [
        ([("ada", "APPROVED")], "APPROVED"),
        ([("ada", "APPROVED"), ("eve", "CHANGES_REQUESTED")], "CHANGES_REQUESTED"),
        ([("ada", "APPROVED"), ("ada", "COMMENTED")], "APPROVED"),
        ([("ada", "CHANGES_REQUESTED"), ("ada", "DISMISSED")], "REVIEW_REQUIRED"),
    ],
)
async def test_the_latest_opinion_of_each_reviewer_decides(
    client: httpx.AsyncClient, world: World, reviews: list[tuple[str, Any]], decision: str
) -> None:
    for author, state in reviews:
        world.store.review(REPO, world.pull, author, state)
    (pull,) = (await _pulls(client))["data"]["repository"]["pullRequests"]["nodes"]
    assert pull["reviewDecision"] == decision


async def test_nodes_answer_by_id_and_say_which_is_unknown(client: httpx.AsyncClient, world: World) -> None:
    query = "query($ids: [ID!]!) { nodes(ids: $ids) { __typename id ... on PullRequest { number } } }"
    node_id = world.store.pull(REPO, world.pull).node_id
    answer, _ = await _ask(client, query, ids=[node_id, "PR_unknown"])
    assert answer["data"]["nodes"] == [{"__typename": "PullRequest", "id": node_id, "number": world.pull}, None]
    (error,) = answer["errors"]
    assert (error["type"], error["path"]) == ("NOT_FOUND", ["nodes", 1])


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ('{ repository(owner: "acme", name: "none") { id } }', "NOT_FOUND"),
        ('{ repository(owner: "acme", name: "fraud") { pullRequest(number: 99) { id } } }', "NOT_FOUND"),
        (
            '{ repository(owner: "acme", name: "fraud") { pullRequests { totalCount } } }',
            "MISSING_PAGINATION_BOUNDARIES",
        ),
        (
            '{ repository(owner: "acme", name: "fraud") { pullRequests(first: 101) { totalCount } } }',
            "EXCESSIVE_PAGINATION",
        ),
        (
            '{ repository(owner: "acme", name: "fraud") { pullRequests(first: 1, after: "?") { totalCount } } }',
            "INVALID_CURSOR_ARGUMENTS",
        ),
    ],
)
async def test_what_cannot_be_answered_is_an_error_of_githubs_type(
    client: httpx.AsyncClient, query: str, kind: str
) -> None:
    answer, response = await _ask(client, query)
    assert response.status_code == 200
    assert [error["type"] for error in answer["errors"]] == [kind]


@pytest.mark.parametrize("query", ["{ viewer { login", "{ viewer { shoeSize } }", "mutation { nothing }"])
async def test_what_is_no_query_is_refused(client: httpx.AsyncClient, query: str) -> None:
    answer, response = await _ask(client, query)
    assert response.status_code == 200
    assert "data" not in answer
    assert answer["errors"]


async def test_a_query_costs_points_by_its_size(client: httpx.AsyncClient) -> None:
    answer = await _pulls(client)
    # 1 list of 100, each with 7 lists, and below each last commit one more: 1 + 700 + 100 calls.
    assert answer["data"]["rateLimit"]["cost"] == 8
    assert answer["data"]["rateLimit"]["remaining"] == 4992
    again = await _pulls(client)
    assert again["data"]["rateLimit"]["remaining"] == 4984


async def test_a_used_up_quota_is_told_in_a_success(client: httpx.AsyncClient, world: World) -> None:
    world.store.limits.quota = 8
    await _pulls(client)
    answer, response = await _ask(client, "{ viewer { login } }")
    assert (response.status_code, response.headers["x-ratelimit-remaining"]) == (200, "0")
    assert [error["type"] for error in answer["errors"]] == ["RATE_LIMITED"]


async def test_a_bad_token_is_401(client: httpx.AsyncClient) -> None:
    answer, response = await _ask(client, "{ viewer { login } }", "wrong")
    assert (response.status_code, answer["message"]) == (401, "Bad credentials")


def test_the_judge_knows_githubs_schema() -> None:
    check_graphql(PULLS)
    with pytest.raises(ContractError, match="shoeSize"):
        check_graphql("{ viewer { shoeSize } }")
    with pytest.raises(ContractError, match="Syntax Error"):
        check_graphql("{ viewer { login")


def test_the_served_schema_is_a_part_of_githubs() -> None:
    served, whole = schema(), graphql_schema()
    for name, kind in served.type_map.items():
        if name.startswith("__") or not isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            continue
        theirs = whole.type_map[name]
        assert isinstance(theirs, GraphQLObjectType | GraphQLInterfaceType)
        for field, ours in kind.fields.items():
            if field != "databaseId":
                assert str(ours.type) == str(theirs.fields[field].type), (name, field)
            assert {key: str(a.type) for key, a in ours.args.items()} == {
                key: str(a.type) for key, a in theirs.fields[field].args.items()
            }, (name, field)


def _everything(kind: GraphQLNamedType, depth: int) -> str:
    """Return a selection of all fields of a type, `depth` objects deep."""
    if isinstance(kind, GraphQLUnionType):
        parts = [f"... on {member.name} {_everything(member, depth)}" for member in kind.types]
        return "{ __typename " + " ".join(parts) + " }"
    assert isinstance(kind, GraphQLObjectType | GraphQLInterfaceType)
    # Unions hold types whose fields of one name differ in whether they may be null.
    parts = ["__typename"]
    for name, field in kind.fields.items():
        inner = get_named_type(field.type)
        alias = f"{kind.name}_{name}: {name}"
        if is_leaf_type(inner):
            parts.append(alias)
        elif depth and not any(is_required_argument(argument) for argument in field.args.values()):
            arguments = "(first: 10)" if "first" in field.args else ""
            parts.append(f"{alias}{arguments} {_everything(inner, depth - 1)}")
    return "{ " + " ".join(parts) + " }"


@pytest.mark.parametrize(
    ("kind", "depth"),
    [("PullRequest", 3), ("Commit", 6), ("IssueComment", 2), ("PullRequestReview", 2), ("Repository", 3)],
)
async def test_every_field_that_is_served_is_answered(
    client: httpx.AsyncClient, world: World, kind: str, depth: int
) -> None:
    repository, pull = world.store.repository(REPO), world.store.pull(REPO, world.pull)
    ids = {
        "PullRequest": pull.node_id,
        "Commit": repository.commits[world.sha].node_id,
        "IssueComment": pull.comments[0].node_id,
        "PullRequestReview": pull.reviews[0].node_id,
        "Repository": repository.node_id,
    }
    selection = _everything(schema().type_map[kind], depth)
    answer, _ = await _ask(client, f"query($id: ID!) {{ node(id: $id) {{ ... on {kind} {selection} }} }}", id=ids[kind])
    assert "errors" not in answer, answer["errors"][:3]
    assert answer["data"]["node"]["__typename"] == kind
