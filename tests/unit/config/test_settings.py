from pathlib import Path

import pytest
from click.testing import CliRunner

from mlops_tui.cli.main import cli
from mlops_tui.config.paths import find_config
from mlops_tui.config.settings import load_settings
from mlops_tui.domain.errors import ConfigError
from mlops_tui.engine.compose import (
    chosen_environments,
    github_target,
    kubernetes_targets,
    mlflow_targets,
    scope_of,
)

FULL = """
read_only = true
[ui]
theme = "daylight"
keys = { "pane.refresh" = "r" }
[github]
repositories = ["acme/fraud"]
base_url = "https://git.example/api/v3"
[mlflow]
tracking_uri = "http://mlflow.example:5000"
models."fraud-detector" = { metric = "accuracy" }
[environments.production]
protected = true
context = "prod-eu"
namespaces = ["ml"]
repositories = ["acme/ranker", "acme/fraud"]
stage = "Production"
alias = "champion"
[environments.staging]
context = "prod-eu"
namespaces = ["ml-staging"]
registry = "http://staging-mlflow.example:5000"
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mlops-tui.toml"
    path.write_text(text)
    return path


def test_the_whole_file(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, FULL))
    assert settings.environments["production"].protected
    assert settings.mlflow.models["fraud-detector"].metric == "accuracy"


def test_no_file_is_a_configuration_too() -> None:
    settings = load_settings(None)
    assert settings.environments == {}
    assert list(chosen_environments(settings, ())) == ["default"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[gihub]", "unknown key gihub; did you mean github?"),
        ('[github]\nrepository = ["a/b"]', "unknown key github.repository; did you mean repositories?"),
        ("[environments.production]\nprotect = true", "unknown key environments.production.protect; did you mean prot"),
        ("[mlflow.models.'a.b']\nmetrik = 'x'", 'unknown key mlflow.models."a.b".metrik; did you mean metric?'),
        ("zzz = 1", "unknown key zzz"),
        ("read_only = 'yes'", "read_only: must be a valid boolean, not 'yes'"),
        ("[github]\nrepositories = 'a/b'", "github.repositories: must be a list, not 'a/b'"),
        ("[github]\nrepositories = ['abc']", 'github.repositories: "abc" is not of the form owner/name'),
        ("[github]\nruns = 0", "github.runs: must be greater than or equal to 1, not 0"),
        ("environments = 3", "environments: must be a table, not 3"),
        ("[mlflow.models.a]", "mlflow.models.a.metric is missing"),
        ("[github", "is not TOML"),
    ],
)
def test_a_mistake_is_one_line_with_file_key_and_nearest_name(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_settings(path)
    assert caught.value.message.startswith(f"{path}: ")
    assert message in caught.value.message
    result = CliRunner().invoke(cli, ["snapshot", "--config", str(path)])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_settings(tmp_path / "nothing.toml")
    with pytest.raises(ConfigError, match="is a folder"):
        load_settings(tmp_path)
    path = tmp_path / "latin.toml"
    path.write_bytes(b"# \xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_settings(path)


def test_the_file_is_found_in_the_folder_its_checkout_and_the_user_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLOPS_TUI_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert find_config(None, below) == (None, "")
    user = tmp_path / "user" / "mlops-tui" / "mlops-tui.toml"
    user.parent.mkdir(parents=True)
    user.write_text("")
    above = write(tmp_path / "a", "")
    assert find_config(None, below)[0] == user, "a folder above that is no checkout's is nobody's business"
    assert find_config(None, tmp_path / "a")[0] == above
    (tmp_path / "a" / ".git").mkdir()
    assert find_config(None, below)[0] == above
    write(tmp_path, "")
    above.unlink()
    assert find_config(None, below)[0] == user, "the search ends at the checkout's root"
    monkeypatch.setenv("MLOPS_TUI_CONFIG", "/elsewhere.toml")
    assert find_config(None, below)[0] == Path("/elsewhere.toml")
    assert find_config("/named.toml", below)[0] == Path("/named.toml")


@pytest.mark.parametrize(
    "line",
    [
        "github.base_url = 'http://127.0.0.1:1'",
        "github.token_env = 'AWS_SECRET_ACCESS_KEY'",
        "mlflow.tracking_uri = 'http://127.0.0.1:1'",
        "mlflow.registry_uri = 'http://127.0.0.1:1'",
        "kubernetes.kubeconfig = 'evil'",
        "environments.a.registry = 'http://127.0.0.1:1'",
    ],
)
def test_a_file_that_nobody_named_does_not_decide_where_credentials_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.delenv("MLOPS_TUI_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, line)
    result = CliRunner().invoke(cli, ["config", "check"])
    assert result.exit_code == 2
    assert f"{line.partition(' ')[0]} decides where credentials go" in result.stderr
    assert f"--config {path}" in result.stderr
    assert CliRunner().invoke(cli, ["config", "check", "--config", str(path)]).exit_code == 0


def test_a_checkout_s_own_file_may_name_repositories_contexts_and_namespaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLOPS_TUI_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "github.repositories = ['a/b']\n[environments.production]\ncontext = 'c'\nnamespaces = ['ml']")
    assert CliRunner().invoke(cli, ["config", "check"]).exit_code == 0


def test_what_stands_before_a_command_holds_for_it() -> None:
    run = CliRunner().invoke
    assert run(cli, ["--config", "/nonexistent.toml", "config", "check"]).exit_code == 2
    assert run(cli, ["--config", "/nonexistent.toml", "doctor"]).exit_code == 2
    assert run(cli, ["--attach", "x", "doctor"]).exit_code == 2


def test_check_finds_what_the_dashboard_would_refuse(tmp_path: Path) -> None:
    run = CliRunner().invoke
    for text, message in [
        ("[environments.a]\nnamespaces=['ml']\n[environments.b]\nnamespaces=['ml']", "both claim"),
        ("ui.theme = 'nonsense'", "nonsense"),
        ("ui.keys = {'pane.zoom' = 'r'}", "ui.keys"),
    ]:
        result = run(cli, ["config", "check", "--config", str(write(tmp_path, text))])
        assert (result.exit_code, message in result.stderr) == (2, True), result.stderr


def test_check_names_every_mistake(tmp_path: Path) -> None:
    path = write(tmp_path, "zzz = 1\n[gihub]\n[github]\nruns = 0")
    result = CliRunner().invoke(cli, ["config", "check", "--config", str(path)])
    assert result.exit_code == 2
    for text in ("unknown key zzz", "did you mean github?", "github.runs: must be greater"):
        assert result.stderr.count(text) == 1


def test_a_relative_kubeconfig_is_beside_the_file_that_names_it(tmp_path: Path) -> None:
    path = write(tmp_path, "kubernetes.kubeconfig = 'kube.yaml:/abs:~/own'")
    settings = load_settings(path)
    [target] = kubernetes_targets(settings, chosen_environments(settings, ()), path)
    assert target.kubeconfig == f"{tmp_path / 'kube.yaml'}:/abs:~/own"


def test_each_system_is_one_target_whoever_names_it(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, FULL))
    chosen = chosen_environments(settings, ())
    assert github_target(settings, chosen).repositories == ("acme/fraud", "acme/ranker")
    [cluster] = kubernetes_targets(settings, chosen)
    assert (cluster.source_id, cluster.context) == ("kubernetes", "prod-eu")
    assert dict(cluster.namespaces) == {"ml": "production", "ml-staging": "staging"}
    registries = mlflow_targets(settings, chosen)
    assert [(r.source_id, r.tracking_uri, r.environments) for r in registries] == [
        ("mlflow:production", "http://mlflow.example:5000", ("production",)),
        ("mlflow:staging", "http://staging-mlflow.example:5000", ("staging",)),
    ]
    scope = scope_of(settings, ["production"], read_only=False, config=None)
    assert scope.read_only
    assert [(e.name, e.protected, e.places) for e in scope.environments] == [("production", True, ("prod-eu/ml",))]


def test_one_environment_alone(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, FULL))
    chosen = chosen_environments(settings, ["staging"])
    assert list(chosen) == ["staging"]
    assert [target.source_id for target in mlflow_targets(settings, chosen)] == ["mlflow"]
    with pytest.raises(ConfigError, match="did you mean production"):
        chosen_environments(settings, ["prodution"])


def test_two_environments_in_one_place_are_refused(tmp_path: Path) -> None:
    both = '[environments.a]\nnamespaces=["ml"]\n[environments.b]\nnamespaces=["ml"]\n'
    settings = load_settings(write(tmp_path, both))
    with pytest.raises(ConfigError, match="a and b both claim the current context/ml"):
        kubernetes_targets(settings, chosen_environments(settings, ()))
    mixed = '[environments.a]\n[environments.b]\nnamespaces=["ml"]\n'
    settings = load_settings(write(tmp_path, mixed))
    with pytest.raises(ConfigError, match=r"environments\.a\.namespaces is empty, and b shares"):
        kubernetes_targets(settings, chosen_environments(settings, ()))


def test_config_commands(tmp_path: Path) -> None:
    path = write(tmp_path, FULL)
    run = CliRunner().invoke
    assert str(path) in run(cli, ["config", "path", "--config", str(path)]).stdout
    assert "environments: production, staging" in run(cli, ["config", "check", "--config", str(path)]).stdout
    schema = run(cli, ["config", "schema"])
    assert schema.exit_code == 0
    assert '"additionalProperties": false' in schema.stdout
