"""What only reads, by method and path; and everything else, by whatever name, does not."""

import json
import random
from typing import Any

import pytest

from mlops_tui.domain.errors import Refused
from mlops_tui.domain.state import SourceKind
from mlops_tui.sources.allowlist import only_reads, refuse_writes
from mlops_tui.sources.github.queries import PULL_DETAIL, PULLS

K, G, M = SourceKind.KUBERNETES, SourceKind.GITHUB, SourceKind.MLFLOW


@pytest.mark.parametrize(
    ("kind", "method", "path"),
    [
        (K, "GET", "/version"),
        (K, "GET", "/api"),
        (K, "GET", "/apis/apps/v1"),
        (K, "GET", "/apis/apps/v1/namespaces/ml/deployments"),
        (K, "GET", "/apis/apps/v1/namespaces/ml/deployments/fraud-api"),
        (K, "GET", "/apis/apps/v1/namespaces/ml/deployments/fraud-api/scale"),
        (K, "GET", "/apis/apps/v1/deployments?watch=1"),
        (K, "GET", "/api/v1/namespaces/ml/pods/fraud-api-1/log"),
        (K, "get", "/api/v1/namespaces/proxy/services/exec"),
        (K, "GET", "/apis/networking.istio.io/v1beta1/namespaces/ml/virtualservices/attach"),
        (K, "GET", "/openapi/v3"),
        (K, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"),
        (K, "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"),
        (K, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews"),
        (G, "GET", "/repos/acme/fraud/pulls?state=open"),
        (M, "GET", "/api/2.0/mlflow/registered-models/search"),
        (M, "POST", "/api/2.0/mlflow/runs/search"),
        (M, "POST", "/ajax-api/3.0/mlflow/logged-models/search"),
    ],
)
def test_what_reads(kind: SourceKind, method: str, path: str) -> None:
    assert only_reads(kind, method, path)
    refuse_writes(kind, method, path)


@pytest.mark.parametrize(
    ("kind", "method", "path"),
    [
        (K, "GET", "/api/v1/namespaces/ml/pods/x/exec"),
        (K, "GET", "/api/v1/namespaces/ml/pods/x/exec?command=rm"),
        (K, "GET", "/api/v1/namespaces/ml/pods/x/attach"),
        (K, "GET", "/api/v1/namespaces/ml/pods/x/portforward"),
        (K, "GET", "/api/v1/namespaces/ml/services/https:x:443/proxy/admin/delete"),
        (K, "GET", "/api/v1/nodes/n1/proxy/run/ml/x/y"),
        (K, "GET", "/apis/subresources.kubevirt.io/v1/namespaces/ml/virtualmachines/x/console"),
        (K, "GET", "/api/v1/namespaces/ml/pods/../pods/x/exec"),
        (K, "GET", "/api/v1/namespaces/ml/pods/x/%65xec"),
        (K, "GET", "/api/v1/namespaces/ml//pods/x/exec"),
        (K, "GET", "/api/v1/namespaces/ml/pods/x/exec/"),
        (K, "GET", "/api/v1/namespaces/ml/pods/x/log/../exec"),
        (K, "GET", "/api/v1/namespaces/ml/pods/x\\exec"),
        (K, "GET", "/metrics/../api"),
        (K, "HEAD", "/api/v1/pods"),
        (K, "OPTIONS", "/api/v1/pods"),
        (K, "POST", "/api/v1/namespaces/ml/pods"),
        (K, "PUT", "/apis/apps/v1/namespaces/ml/deployments/x/scale"),
        (K, "patch", "/apis/apps/v1/namespaces/ml/deployments/x"),
        (K, "DELETE", "/api/v1/namespaces/ml"),
        (K, "POST", "/apis/authorization.k8s.io/v1/namespaces/ml/localsubjectaccessreviews"),
        (K, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews/../../x"),
        (G, "POST", "/repos/acme/fraud/issues/1/comments"),
        (G, "DELETE", "/repos/acme/fraud"),
        (G, "POST", "/graphql/../repos/acme/fraud/issues"),
        (M, "POST", "/api/2.0/mlflow/model-versions/transition-stage"),
        (M, "POST", "/api/2.0/mlflow/runs/search/../delete"),
        (M, "POST", "/api/2.0/mlflow/runs/searchx"),
        (M, "DELETE", "/api/2.0/mlflow/registered-models/alias"),
        (M, "PATCH", "/api/2.0/mlflow/registered-models/update"),
    ],
)
def test_what_does_not(kind: SourceKind, method: str, path: str) -> None:
    assert not only_reads(kind, method, path)
    with pytest.raises(Refused, match="is read-only") as caught:
        refuse_writes(kind, method, path)
    assert caught.value.exit_code == 5


@pytest.mark.parametrize(
    "text",
    [
        PULLS,
        PULL_DETAIL,
        "{ viewer { login } }",
        'query { search(query: "mutation { a }") { nodes } }',
        'query { a(text: """ mutation " { """) }',
        "# mutation\n{ viewer { login } }",
        "{ viewer { mutations subscriptionState } }",
    ],
)
def test_queries_read(text: str) -> None:
    assert only_reads(G, "POST", "/graphql", {"query": text})
    assert only_reads(G, "POST", "/api/graphql", json.dumps({"query": text}))


@pytest.mark.parametrize(
    "text",
    [
        "mutation { addComment { id } }",
        "mutation{a}",
        "\ufeffmutation M($x: ID!) @live { a }",
        "query A { a } mutation B { b }",
        'query A { a(x: "#") } mutation B { b }',
        'query A { a(x: "\\"") } mutation B { b } #"',
        "{a}#\nmutation{b}",
        "{a}#\rmutation{b}",
        'query A { a(x: """a\\\\""" x """) } mutation B { b } #"""',
        'query A { a(x: """ " """) } mutation B { b } #"',
        'query A { a(x: "\n") } mutation B { b } #"',
        'query A { a(x: "") } mutation B { b(x: "") }',
        "query A{a(x:1)}mutation B{b}",
        "subscription { a }",
        '"never closed',
    ],
)
def test_no_mutation_hides(text: str) -> None:
    assert not only_reads(G, "POST", "/graphql", {"query": text})


@pytest.mark.parametrize(
    "body",
    [
        None,
        "",
        "[]",
        b"\xff",
        {},
        {"query": 1},
        [{"query": "{a}"}],
        '{"query": "mutation{a}", "query": "{a}"}',
        {"id": "abc"},
    ],
)
def test_what_cannot_be_told_is_no_query(body: Any) -> None:
    assert not only_reads(G, "POST", "/graphql", body)


def test_whatever_is_around_a_mutation_it_is_found() -> None:
    chance = random.Random(3)
    around = (
        "query Q { a }", "{ a }", "# x\n", '# "\n', "# \"\"\"\r", ",", " ", "\n", "fragment F on T { a }",
        'query S { a(x: "b # \\" c") }', 'query B { a(x: """b " # \\""" c""") }', 'query E { a(x: "") }',
    )  # fmt: skip
    for _ in range(2_000):
        before = "".join(chance.choice(around) for _ in range(chance.randint(0, 6)))
        after = "".join(chance.choice((*around, '#"', '#"""')) for _ in range(chance.randint(0, 4)))
        text = f"{before} mutation M {{ write(x: 1) {{ id }} }} {after}"
        assert not only_reads(G, "POST", "/graphql", {"query": text}), text
        assert only_reads(G, "POST", "/graphql", {"query": before.replace("# x\n", "") or "{a}"}), before
