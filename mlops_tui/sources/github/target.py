"""Which GitHub, which repositories, and with which token: found as git and GitHub's own tools find them."""

import ipaddress
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

_PUBLIC_VARIABLES = ("GITHUB_TOKEN", "GH_TOKEN")
_ENTERPRISE_VARIABLES = ("GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN")
# Stricter than `urlsplit`: what some parsers take for the end of a host must not be part of it.
_ADDRESS = re.compile(
    r"https?://(?:[^@/?#\\\s]*@)?(?:[\w.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?(?:[/?#]\S*)?", re.IGNORECASE
)
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
        read_only: Whether nothing may be changed.
        read_only_repositories: Those in which nothing may be changed, where others may.
    """

    source_id: str
    base_url: str | None
    repositories: tuple[str, ...]
    token_env: str | None
    runs: int
    environments: tuple[str, ...]
    working_directory: Path
    read_only: bool = False
    read_only_repositories: tuple[str, ...] = ()

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
        return netloc.rpartition("@")[2].lower().removeprefix("api.") or self.api

    @property
    def is_public(self) -> bool:
        """Whether this is GitHub's own service, which the usual tokens are for: github.com, or a tenant of ghe.com."""
        name = urlsplit(self.api).hostname or ""
        return name in ("github.com", "api.github.com") or name.endswith(".ghe.com")


@dataclass(frozen=True)
class Token:
    """A token and where it came from; its repr holds no secret."""

    origin: str
    secret: str = field(repr=False)


def find_token(target: GitHubTarget) -> Token:
    """Look for a token that may be sent to the target: a process may be started, so this may block for
    `COMMAND_TIMEOUT`.

    Raises:
        NotConfigured: There is none, or the address is none that a token may be sent to.
        Unauthenticated: There is one that cannot be a token, or is for another host.
    """
    _check_address(target.api)
    token = _named_token(target) if target.token_env else _usual_token(target)
    # A header with such characters is refused by the HTTP library in an error that shows the header.
    if not re.fullmatch(r"[!-~]+", token.secret):
        raise Unauthenticated(f"{token.origin} holds characters that no token has", "copy the token again")
    return token


def _check_address(api: str) -> None:
    """Raise `NotConfigured` if this is no address of an API, or one on the way to which a token can be read."""
    try:
        parts = urlsplit(api)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not host or port == 0 or not _ADDRESS.fullmatch(api):
        hint = "it is https://HOST/api/v3 for GitHub Enterprise Server"
        raise NotConfigured("[github] base_url is not the address of an API", hint)
    if parts.scheme == "https":
        return
    if not _is_loopback(host):
        hint = f"give it as https://{host}…: no token is sent where everybody on the way can read it"
        raise NotConfigured(f"[github] base_url is plain http to {host}", hint)
    from requests.utils import get_environ_proxies, select_proxy

    if select_proxy(api, get_environ_proxies(api)):
        hint = f"set NO_PROXY={host}: no token is sent where everybody on the way can read it"
        raise NotConfigured(f"a proxy stands before {host}, which is asked in plain http", hint)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _named_token(target: GitHubTarget) -> Token:
    secret = os.environ.get(target.token_env or "", "").strip()
    if not secret:
        raise NotConfigured(
            f"the environment variable {target.token_env} is not set",
            f"set {target.token_env}, which [github] token_env names, to a token for {target.host}",
        )
    return Token(f"${target.token_env}", secret)


def _usual_token(target: GitHubTarget) -> Token:
    """Return the token that `gh` would use, but for its exceptions.

    In a Codespace, `gh` gives `GITHUB_TOKEN` to every host, and it takes every host below github.com for github.com.
    """
    for name in _PUBLIC_VARIABLES if target.is_public else _ENTERPRISE_VARIABLES:
        if secret := os.environ.get(name, "").strip():
            return Token(f"${name}", secret)
    if target.is_public or not target.host.partition(":")[0].endswith(".github.com"):
        secret = _output("gh", "auth", "token", "--hostname", target.host, cwd=target.working_directory)
        if secret:
            return Token("gh auth token", secret)
    login = f"run: gh auth login -h {target.host}"
    if target.is_public:
        raise NotConfigured(f"no token for {target.host}", f"set GITHUB_TOKEN, or {login}")
    hint = f"set GH_ENTERPRISE_TOKEN, or name a variable in [github] token_env, or {login}"
    if others := [name for name in _PUBLIC_VARIABLES if os.environ.get(name, "").strip()]:
        raise Unauthenticated(f"no token for {target.host}: {others[0]} is for github.com and *.ghe.com alone", hint)
    raise NotConfigured(f"no token for {target.host}", hint)


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
    environment = {name: value for name, value in os.environ.items() if name not in _PUBLIC_VARIABLES}
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_TIMEOUT,
            check=False,
            env={**environment, "GH_PROMPT_DISABLED": "1", "GIT_TERMINAL_PROMPT": "0"},
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    return lines[0].strip() if done.returncode == 0 and lines else ""
