"""The GraphQL queries. One asks for up to 50 pull requests by their node ids, whichever repositories they are in."""

_PULL = """
fragment Pull on PullRequest {
  id number title url state isDraft body createdAt updatedAt
  headRefOid headRefName baseRefName mergeable reviewDecision
  author { __typename login }
  labels(first: 20) { nodes { name } }
  reviews(last: 100) { nodes { state author { __typename login } } }
  firstComments: comments(first: 5) { nodes { ...Remark } }
  lastComments: comments(last: 20) { nodes { ...Remark } }
}
fragment Remark on IssueComment {
  id body authorAssociation author { __typename login }
}
"""

_CONTEXT = """
fragment Context on StatusCheckRollupContext {
  __typename
  ... on CheckRun { name status conclusion startedAt completedAt detailsUrl }
  ... on StatusContext { context state targetUrl }
}
"""

PULLS = (
    """
query Pulls($ids: [ID!]!) {
  nodes(ids: $ids) {
    __typename
    ... on PullRequest {
      ...Pull
      commits(last: 1) { nodes { commit { oid statusCheckRollup {
        state
        contexts(first: 100) { totalCount nodes { ...Context } }
      } } } }
    }
  }
}
"""
    + _PULL
    + _CONTEXT
)
"""What a row needs."""

PULL_DETAIL = (
    """
query PullDetail($id: ID!) {
  node(id: $id) {
    __typename
    ... on PullRequest {
      commits(last: 1) { nodes { commit { oid statusCheckRollup {
        state
        contexts(first: 100) { totalCount nodes { ...Context } }
      } } } }
      reviews(last: 50) { nodes { state submittedAt author { __typename login } } }
      reviewRequests(first: 20) { nodes { requestedReviewer {
        __typename
        ... on Actor { login }
        ... on Team { slug }
      } } }
    }
  }
}
"""
    + _CONTEXT
)
"""What is looked at only when somebody opens a pull request."""
