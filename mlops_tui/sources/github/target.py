"""Which GitHub, which repositories, and with which token: found as git and GitHub's own tools find them."""

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from mlops_tui.domain.errors import NotConfigured, Unauthenticated

PUBLIC_API = "https://api.github.com"
COMMAND_TIMEOUT = 10.0
"""Seconds for `git` and `gh`, which read a file or a keyring; more means that they wait for somebody."""

_SCP_FORM = re.compile(r"(?:[\w.-]+@)?([\w.-]+):(?!//)(.+)")
_NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_REPOSITORIES_HINT = 'name them in mlops-tui.toml: [github] repositories = ["owner/name"]'


@dataclass(frozen=True)
class GitHubTarget:
    """What to read.

    Attributes:
        base_url: The REST API's address; github.com's where `None`.
        repositories: `owner/name` each; the git remote's of `working_directory` where empty.
        token_env: The environment variable that holds the token; the usual places where `None`.
        runs: How many of the newest workflow runs to show of each repository.
        environments: The environments whose rows these are.
    """

    source_id: str
    base_url: str | None
    repositories: tuple[str, ...]
    token_env: str | None
    runs: int
    environments: tuple[str, ...]
    working_directory: Path

    @property
    def api(self) -> str:
        """The REST API's address."""
        return (self.base_url or PUBLIC_API).rstrip("/")

    @property
    def host(self) -> str:
        """The host that a person names, a port with it: `github.com`, `github.example.com`."""
        try:
            netloc = urlsplit(self.api).netloc
        except ValueError:
            return self.api
        return netloc.rpartition("@")[2].removeprefix("api.") or self.api


@dataclass(frozen=True)
class Token:
    """A token and where it came from; its repr holds no secret."""

    origin: str
    secret: str = field(repr=False)


def find_token(target: GitHubTarget) -> Token:
    """Look for the token: a process may be started, so this may block for `COMMAND_TIMEOUT`.

    Raises:
        NotConfigured: There is none.
        Unauthenticated: There is one that cannot be a token.
    """
    token = _named_token(target) if target.token_env else _usual_token(target)
    # A header with such characters is refused by the HTTP library in an error that shows the header.
    if not re.fullmatch(r"[!-~]+", token.secret):
        raise Unauthenticated(f"{token.origin} holds characters that no token has", "copy the token again")
    return token


def _named_token(target: GitHubTarget) -> Token:
    secret = os.environ.get(target.token_env or "", "").strip()
    if not secret:
        raise NotConfigured(
            f"the environment variable {target.token_env} is not set",
            f"set {target.token_env}, which [github] token_env names, to a token for {target.host}",
        )
    return Token(f"${target.token_env}", secret)


def _usual_token(target: GitHubTarget) -> Token:
    names = ["GITHUB_TOKEN", "GH_TOKEN"]
    if target.host != "github.com" and not target.host.endswith(".ghe.com"):
        names = ["GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN", *names]
    for name in names:
        if secret := os.environ.get(name, "").strip():
            return Token(f"${name}", secret)
    secret = _output("gh", "auth", "token", "--hostname", target.host, cwd=target.working_directory)
    if not secret:
        raise NotConfigured(f"no token for {target.host}", f"set GITHUB_TOKEN, or run: gh auth login -h {target.host}")
    return Token("gh auth token", secret)


def find_repositories(target: GitHubTarget) -> tuple[str, ...]:
    """Return the repositories to read, each once; may block for `COMMAND_TIMEOUT`.

    Raises:
        NotConfigured: None is named, and the working directory has no remote at this GitHub.
    """
    if target.repositories:
        once: dict[str, str] = {}
        for name in target.repositories:
            once.setdefault(name.casefold(), name)
        return tuple(once.values())
    remote = _output("git", "config", "--get", "remote.origin.url", cwd=target.working_directory)
    if not remote:
        raise NotConfigured("no repository is named, and this folder has no git remote", _REPOSITORIES_HINT)
    host, name = parse_remote(remote)
    if not name or host not in (target.host, target.host.partition(":")[0], f"ssh.{target.host}"):
        raise NotConfigured(f"the git remote origin is no repository at {target.host}", _REPOSITORIES_HINT)
    return (name,)


def parse_remote(remote: str) -> tuple[str, str]:
    """Return host and `owner/name` of a git remote's URL; empty strings where it has none.

    >>> parse_remote("git@github.com:acme/fraud.git")
    ('github.com', 'acme/fraud')
    """
    if "://" in remote:
        try:
            parts = urlsplit(remote)
            host, path = parts.hostname or "", parts.path
        except ValueError:
            return "", ""
    elif form := _SCP_FORM.fullmatch(remote):
        host, path = form[1].lower(), form[2]
    else:
        return "", ""
    name = path.strip("/").removesuffix(".git")
    return (host, name) if _NAME.fullmatch(name) else ("", "")


def _output(*command: str, cwd: Path) -> str:
    """Return the first line that a command prints; empty if it is missing, fails or waits for somebody."""
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_TIMEOUT,
            check=False,
            env={**os.environ, "GH_PROMPT_DISABLED": "1", "GIT_TERMINAL_PROMPT": "0"},
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    return lines[0].strip() if done.returncode == 0 and lines else ""
