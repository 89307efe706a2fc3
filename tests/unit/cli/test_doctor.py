import pytest

from mlops_tui.cli.doctor import describe_probe, exit_code
from mlops_tui.domain.state import Permission, Probe, Problem, SourceKind, SourceStatus


def probe(status: SourceStatus = SourceStatus.LIVE, **values: object) -> Probe:
    return Probe.model_validate(
        {"source": "kubernetes", "kind": SourceKind.KUBERNETES, "label": "prod", "status": status, **values}
    )


@pytest.mark.parametrize(
    ("probes", "code"),
    [
        ([probe(), probe(SourceStatus.OFF)], 0),
        ([probe(SourceStatus.OFF), probe(SourceStatus.OFF)], 2),
        ([probe(), probe(SourceStatus.UNREACHABLE)], 1),
        ([probe(SourceStatus.UNREACHABLE), probe(SourceStatus.DENIED)], 4),
        ([probe(problems=(Problem(scope="x", message="y", status=SourceStatus.DENIED),))], 4),
        ([probe(permissions=(Permission(name="patch deployments", allowed=False, to_read=False),))], 0),
    ],
)
def test_exit_code(probes: list[Probe], code: int) -> None:
    assert exit_code(tuple(probes)) == code


def test_each_trouble_comes_with_its_next_step() -> None:
    text = "\n".join(
        describe_probe(
            probe(
                SourceStatus.DENIED,
                error="forbidden",
                hint="ask for a Role",
                problems=(Problem(scope="namespace ml", message="may not list", hint="kubectl auth can-i"),),
                permissions=(
                    Permission(name="list pods", scope="namespace ml", allowed=False, hint="ask for it"),
                    Permission(name="patch deployments", allowed=False, to_read=False, hint="not shown"),
                    Permission(name="list events", allowed=True, hint="not shown either"),
                ),
            )
        )
    )
    for part in ("denied", "forbidden", "→ ask for a Role", "namespace ml: may not list", "→ kubectl auth can-i"):
        assert part in text
    assert "list pods" in text
    assert "→ ask for it" in text
    assert "only needed to change it" in text
    assert "not shown" not in text
