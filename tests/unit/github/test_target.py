"""Where the token and the repositories come from, and that nothing is written or imported on the way."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlops_tui.domain.errors import NotConfigured, Unauthenticated
from mlops_tui.sources.github import GitHubSource, GitHubTarget
from mlops_tui.sources.github.target import find_repositories, find_token, parse_remote
from tests.support.clock import ManualClock

pytestmark = pytest.mark.tool("git")

VARIABLES = ("GITHUB_TOKEN", "GH_TOKEN", "GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN")


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Take all tokens away, and put an empty folder before the programs on the path, for a `gh` of the test's own."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    programs = tmp_path / "bin"
    programs.mkdir()
    git = subprocess.run(["/bin/sh", "-c", "command -v git"], capture_output=True, text=True, check=True).stdout.strip()
    (programs / "git").symlink_to(git)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return programs


def make(
    folder: Path, base_url: str | None = None, token_env: str | None = None, repositories: tuple[str, ...] = ()
) -> GitHubTarget:
    return GitHubTarget("github", base_url, repositories, token_env, 100, (), folder)


def write_gh(programs: Path, script: str) -> None:
    program = programs / "gh"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)


def test_variables_come_before_gh(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_gh(bare, 'IFS=_; echo "gho_$*"')
    assert find_token(make(tmp_path)).secret == "gho_auth_token_--hostname_github.com"
    monkeypatch.setenv("GH_TOKEN", "two")
    assert find_token(make(tmp_path)).secret == "two"
    monkeypatch.setenv("GITHUB_TOKEN", " one\n")
    token = find_token(make(tmp_path))
    assert (token.secret, token.origin) == ("one", "$GITHUB_TOKEN")
    assert "one" not in repr(token)


def test_an_enterprise_server_has_variables_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "public")
    monkeypatch.setenv("GH_ENTERPRISE_TOKEN", "enterprise")
    assert find_token(make(tmp_path, "https://github.example.com/api/v3")).secret == "enterprise"
    assert find_token(make(tmp_path)).secret == "public"
    assert find_token(make(tmp_path, "https://api.acme.ghe.com")).secret == "public"


PUBLIC_ONLY = ("GITHUB_TOKEN", "GH_TOKEN")


@pytest.mark.parametrize(
    "base_url",
    [
        "https://github.example.com/api/v3",
        "https://api.github.com.example.com",
        "https://github.com@example.com",
        "https://example.com/github.com",
        "https://example.com#.ghe.com",
        "https://example-ghe.com",
        "https://raw.github.com",
        "http://127.0.0.1:8080",
    ],
)
@pytest.mark.parametrize("name", PUBLIC_ONLY)
def test_the_variables_for_github_com_are_for_no_other_host(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base_url: str, name: str
) -> None:
    # In a Codespace, gh itself gives GITHUB_TOKEN to every host.
    write_gh(bare, 'echo "$GITHUB_TOKEN$GH_TOKEN"')
    monkeypatch.setenv("CODESPACES", "true")
    monkeypatch.setenv(name, "ghp_public")
    with pytest.raises(Unauthenticated, match=rf"{name} is for github\.com and \*\.ghe\.com alone") as raised:
        find_token(make(tmp_path, base_url))
    assert "GH_ENTERPRISE_TOKEN" in raised.value.hint
    assert "token_env" in raised.value.hint
    assert "ghp_public" not in raised.value.message + raised.value.hint
    monkeypatch.setenv("GITHUB_ENTERPRISE_TOKEN", "theirs")
    assert find_token(make(tmp_path, base_url)).secret == "theirs"


def test_gh_is_not_asked_for_a_host_that_it_takes_for_github_com(bare: Path, tmp_path: Path) -> None:
    write_gh(bare, "echo gho_public")
    with pytest.raises(NotConfigured, match=r"no token for raw\.github\.com"):
        find_token(make(tmp_path, "https://raw.github.com"))
    assert find_token(make(tmp_path, "https://API.GitHub.com")).secret == "gho_public"


@pytest.mark.parametrize(
    "base_url",
    [
        "http://api.github.com",
        "http://acme.ghe.com",
        "http://github.example.com/api/v3",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://127.0.0.1@example.com",
        "http://128.0.0.1",
        "http://0.0.0.0",
        "http://[::2]",
    ],
)
def test_no_token_goes_over_plain_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base_url: str) -> None:
    for name in (*VARIABLES, "MY_TOKEN"):
        monkeypatch.setenv(name, "ghp_x")
    for token_env in (None, "MY_TOKEN"):
        with pytest.raises(NotConfigured, match="base_url is plain http") as raised:
            find_token(make(tmp_path, base_url, token_env))
        assert "https://" in raised.value.hint


@pytest.mark.parametrize(
    "base_url", ["http://127.0.0.1:80", "http://127.8.9.10", "http://[::1]:80", "http://LocalHost"]
)
def test_the_loopback_needs_no_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base_url: str) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("MY_TOKEN", "mine")
    assert find_token(make(tmp_path, base_url, "MY_TOKEN")).secret == "mine"


def test_gh_is_asked_for_the_host(bare: Path, tmp_path: Path) -> None:
    write_gh(bare, 'echo "$4"')
    assert find_token(make(tmp_path, "https://github.example.com/api/v3")).secret == "github.example.com"


def test_a_named_variable_is_the_only_place(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "elsewhere")
    with pytest.raises(NotConfigured, match="MY_TOKEN is not set") as raised:
        find_token(make(tmp_path, token_env="MY_TOKEN"))
    assert "token_env" in raised.value.hint
    monkeypatch.setenv("MY_TOKEN", "mine")
    assert find_token(make(tmp_path, token_env="MY_TOKEN")).secret == "mine"


@pytest.mark.parametrize("script", ["exit 1", "echo ghp_wrong; exit 3", "true", "cat; exit 1"])
def test_without_a_token_the_hint_says_how_to_get_one(bare: Path, tmp_path: Path, script: str) -> None:
    write_gh(bare, script)
    with pytest.raises(NotConfigured, match=r"no token for github\.com") as raised:
        find_token(make(tmp_path))
    assert "gh auth login" in raised.value.hint


def test_a_gh_that_waits_is_given_up(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_tui.sources.github.target.COMMAND_TIMEOUT", 0.2)
    write_gh(bare, "exec /bin/sleep 30")
    with pytest.raises(NotConfigured):
        find_token(make(tmp_path))


def test_a_token_of_strange_characters_is_refused_unseen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_secret\r\nX: y")
    with pytest.raises(Unauthenticated) as raised:
        find_token(make(tmp_path))
    assert "secret" not in str(raised.value) + raised.value.hint


@pytest.mark.parametrize(
    ("remote", "expected"),
    [
        ("https://github.com/acme/fraud.git", ("github.com", "acme/fraud")),
        ("https://github.com/acme/fraud", ("github.com", "acme/fraud")),
        ("https://user:ghp_x@github.com/acme/fraud.git/", ("github.com", "acme/fraud")),
        ("git@github.com:acme/fraud.git", ("github.com", "acme/fraud")),
        ("git@GitHub.com:/acme/fraud.py", ("github.com", "acme/fraud.py")),
        ("github.com:acme/fraud", ("github.com", "acme/fraud")),
        ("ssh://git@github.com/acme/fraud.git", ("github.com", "acme/fraud")),
        ("ssh://git@ssh.github.com:443/acme/fraud.git", ("ssh.github.com", "acme/fraud")),
        ("git://github.example.com/acme/fraud", ("github.example.com", "acme/fraud")),
        ("https://github.com/acme", ("", "")),
        ("https://gitlab.com/group/sub/name.git", ("", "")),
        ("https://github.com/acme/fr aud", ("", "")),
        ("../other", ("", "")),
        ("/srv/git/fraud.git", ("", "")),
        ("C:\\repos\\fraud", ("", "")),
        ("http://[broken/acme/fraud", ("", "")),
        ("", ("", "")),
    ],
)
def test_remotes(remote: str, expected: tuple[str, str]) -> None:
    assert parse_remote(remote) == expected


def init(folder: Path, remote: str | None) -> None:
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    if remote:
        subprocess.run(["git", "-C", str(folder), "remote", "add", "origin", remote], check=True)


@pytest.mark.parametrize("remote", ["git@github.com:acme/fraud.git", "ssh://git@ssh.github.com:443/acme/fraud.git"])
def test_the_working_directorys_remote_is_the_default(tmp_path: Path, remote: str) -> None:
    init(tmp_path, remote)
    (tmp_path / "src").mkdir()
    assert find_repositories(make(tmp_path / "src")) == ("acme/fraud",)


@pytest.mark.parametrize("remote", [None, "https://gitlab.com/acme/fraud.git", "/srv/fraud.git"])
def test_without_a_repository_the_hint_names_the_key(tmp_path: Path, remote: str | None) -> None:
    init(tmp_path, remote)
    with pytest.raises(NotConfigured) as raised:
        find_repositories(make(tmp_path))
    assert '[github] repositories = ["owner/name"]' in raised.value.hint


def test_a_folder_that_is_gone_has_no_repository(tmp_path: Path) -> None:
    with pytest.raises(NotConfigured):
        find_repositories(make(tmp_path / "gone"))


def test_each_repository_is_read_once(tmp_path: Path) -> None:
    target = make(tmp_path, repositories=("acme/fraud", "acme/churn", "Acme/Fraud"))
    assert find_repositories(target) == ("acme/fraud", "acme/churn")


@pytest.mark.parametrize(
    ("base_url", "host"),
    [
        (None, "github.com"),
        ("https://github.example.com/api/v3", "github.example.com"),
        ("https://github.example.com:8443/api/v3/", "github.example.com:8443"),
        ("https://api.acme.ghe.com", "acme.ghe.com"),
        ("https://user:secret@github.example.com/api/v3", "github.example.com"),
    ],
)
def test_hosts(tmp_path: Path, base_url: str | None, host: str) -> None:
    assert make(tmp_path, base_url).host == host


@pytest.mark.parametrize(
    "base_url",
    [
        "github.example.com",
        "ftp://x/api/v3",
        "https://[",
        "https://h:port/",
        "https://a b/",
        r"https://example.com\@github.com",
        "x" * 3,
    ],
)
async def test_an_address_that_is_none_is_a_matter_of_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base_url: str
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "x")
    source = GitHubSource(make(tmp_path, base_url, repositories=("acme/fraud",)), ManualClock())
    with pytest.raises(NotConfigured, match="base_url"):
        await source.cycle(lambda delta: None)
    assert (await source.probe()).status == "off"
    await source.close()


SCRIPT = """
import logging, sys
from pathlib import Path
from mlops_tui.sources.github import GitHubSource, GitHubTarget
assert not {"github", "requests", "urllib3"} & set(sys.modules), "an SDK is imported too early"
from mlops_tui.domain.clock import SystemClock
from mlops_tui.sources.github.client import open_client
open_client(GitHubTarget("github", None, ("acme/fraud",), "T", 100, (), Path(".")), SystemClock())
assert "github" in sys.modules
logging.getLogger("github.Requester").warning("over the screen")
logging.getLogger("github").debug("a whole answer")
"""


def test_importing_the_client_writes_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", SCRIPT],
        capture_output=True,
        text=True,
        env={**os.environ, "T": "x"},
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
