"""Finds out where the API server is and how to sign in, as kubectl does, and says clearly why it cannot.

Reading happens here, not in the library, because its messages quote whole users, tokens included; it reads the
current context from the last file where kubectl takes the first; and it runs exec plugins in a way that can hang.
Everything here blocks: call it in a thread.
"""

import asyncio
import base64
import difflib
import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops_tui.domain.errors import NotConfigured, SourceError, Unauthenticated, Unavailable
from mlops_tui.sources.imports import import_sdk
from mlops_tui.sources.kubernetes.exec_plugin import ExecPlugin
from mlops_tui.sources.kubernetes.target import KubernetesTarget

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its own credentials."""
SIGN_IN_SECONDS = 10.0
"""For the library's own sign-in (OIDC refresh), which has no useful limit."""
_FILES = {"cluster": ("certificate-authority",), "user": ("client-certificate", "client-key", "tokenFile")}


@dataclass
class Access:
    """How to reach and sign in to one API server.

    Attributes:
        configuration: The library's `Configuration`.
        context: The context's name; `in-cluster` for a pod's service account.
        namespace: The context's own namespace.
        user: The kubeconfig's name of the user; empty where it has none.
        plugin: What has to be run for credentials, or `None`.
    """

    configuration: Any = field(repr=False)
    context: str
    namespace: str = "default"
    user: str = ""
    plugin: ExecPlugin | None = None
    files: Path | None = field(default=None, repr=False)
    """A folder with the certificates and keys that the kubeconfig holds as data: the library takes paths alone."""

    def __post_init__(self) -> None:
        if self.files is not None:
            weakref.finalize(self, shutil.rmtree, self.files, ignore_errors=True)

    def drop_files(self) -> None:
        """Remove the files, which nothing needs any more once a TLS context is made of them. Idempotent."""
        if self.files is not None:
            shutil.rmtree(self.files, ignore_errors=True)

    @property
    def server(self) -> str:
        """The API server's address."""
        return str(self.configuration.host)


def read_access(target: KubernetesTarget) -> Access:
    """Return the access that `target` stands for, without running its exec plugin.

    Raises:
        NotConfigured: There is no kubeconfig, none was named, and this is no pod.
        Unauthenticated: The context's user is missing or its credentials cannot be read.
        Unavailable: A named file or context is missing or wrong.
    """
    files = _files(target.kubeconfig)
    if not files:
        return _in_cluster()
    config = _merged(files)
    where = ", ".join(map(str, files))
    name = target.context or str(config["current-context"] or "")
    contexts = config["contexts"]
    if not name:
        hint = f"kubectl config use-context NAME, with one of {_some(contexts)}"
        raise Unavailable(f"{where} has no current context", hint)
    if name not in contexts:
        near = difflib.get_close_matches(name, contexts, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"contexts there: {_some(contexts)}"
        raise Unavailable(f'context "{name}" is not in {where}', hint)
    return _context_access(config, name, where)


def _files(named: str | None) -> list[Path]:
    """Return the kubeconfig files that are there; an empty list where none is and none was named."""
    listed, hint = named or "", "see kubeconfig in [kubernetes]"
    if not listed:
        listed, hint = os.environ.get("KUBECONFIG", ""), "see the environment variable KUBECONFIG"
    if listed:
        files = [path for part in listed.split(os.pathsep) if part and (path := Path(part).expanduser()).is_file()]
        if not files:
            raise Unavailable(f"kubeconfig {listed}: no such file", hint)
        return files
    default = Path.home() / ".kube" / "config"
    return [default] if default.is_file() else []


def _merged(files: list[Path]) -> dict[str, Any]:
    """Return the files as one, the first that names a thing deciding, with paths made absolute."""
    merged: dict[str, Any] = {"current-context": "", "clusters": {}, "users": {}, "contexts": {}}
    for path in files:
        config = _load(path)
        merged["current-context"] = merged["current-context"] or config.get("current-context") or ""
        for plural, kind in (("clusters", "cluster"), ("users", "user"), ("contexts", "context")):
            for entry in config.get(plural) or ():
                if not isinstance(entry, Mapping) or not isinstance(entry.get(kind) or {}, Mapping):
                    raise Unavailable(f"kubeconfig {path}: an entry of {plural} is not a table")
                value = _absolute(dict(entry.get(kind) or {}), _FILES.get(kind, ()), path.parent)
                merged[plural].setdefault(str(entry.get("name", "")), value)
    return merged


def _load(path: Path) -> Mapping[str, Any]:
    import yaml

    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Unavailable(f"kubeconfig {path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        # The error itself quotes the line, which may hold a token.
        mark = getattr(error, "problem_mark", None)
        raise Unavailable(f"kubeconfig {path}: is not YAML{f', line {mark.line + 1}' if mark else ''}") from None
    if config is not None and not isinstance(config, Mapping):
        raise Unavailable(f"kubeconfig {path}: is not a kubeconfig")
    return config or {}


def _absolute(value: dict[str, Any], keys: tuple[str, ...], folder: Path) -> dict[str, Any]:
    for key in keys:
        if value.get(key):
            value[key] = str((folder / str(value[key])).absolute())
    plugin = value.get("exec")
    if isinstance(plugin, Mapping) and "/" in str(plugin.get("command", "")):
        value["exec"] = {**plugin, "command": str((folder / str(plugin["command"])).absolute())}
    return value


def _context_access(config: Mapping[str, Any], name: str, where: str) -> Access:
    context = config["contexts"][name]
    cluster_name, user_name = str(context.get("cluster") or ""), str(context.get("user") or "")
    cluster = config["clusters"].get(cluster_name)
    if not cluster or not cluster.get("server"):
        raise Unavailable(f'context "{name}": cluster "{cluster_name}" is not in {where}, or has no server')
    if user_name and user_name not in config["users"]:
        raise Unauthenticated(f'context "{name}": user "{user_name}" is not in {where}')
    user = dict(config["users"].get(user_name) or {})
    _check_files(cluster, _FILES["cluster"], Unavailable)
    _check_files(user, _FILES["user"], Unauthenticated)
    if token_file := user.pop("tokenFile", None):
        user["token"] = Path(token_file).read_text(encoding="utf-8").strip()
    plugin = user.pop("exec", None)
    static = user.get("token") or user.get("username")  # these win in kubectl too
    files = Path(tempfile.mkdtemp(prefix="mlops-tui-"))
    try:
        configuration = _configure(cluster, user, name, files)
    except BaseException:
        shutil.rmtree(files, ignore_errors=True)
        raise
    access = Access(configuration, name, str(context.get("namespace") or "default"), user_name, files=files)
    if plugin and not static:
        access.plugin = ExecPlugin.parse(plugin, cluster)
    return access


def _check_files(entry: Mapping[str, Any], keys: tuple[str, ...], kind: type[SourceError]) -> None:
    for key in keys:
        if entry.get(key) and not entry.get(f"{key}-data") and not os.access(entry[key], os.R_OK):
            raise kind(f"{key} {entry[key]}: cannot be read")


def _configure(cluster: Mapping[str, Any], user: Mapping[str, Any], name: str, files: Path) -> Any:
    import_sdk("kubernetes.aio.config")
    from kubernetes.aio.client import Configuration
    from kubernetes.aio.config import load_kube_config_from_dict

    config = {
        "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": "it", "user": "it"}}],
        "clusters": [{"name": "it", "cluster": _as_files(cluster, _FILES["cluster"], files)}],
        "users": [{"name": "it", "user": _as_files(user, _FILES["user"], files)}],
    }
    configuration = Configuration()

    async def load() -> None:
        loading = load_kube_config_from_dict(config_dict=config, client_configuration=configuration)
        await asyncio.wait_for(loading, SIGN_IN_SECONDS)

    try:
        asyncio.run(load())
    except Exception as error:  # noqa: BLE001 - the library raises whatever it runs into, quoting secrets
        hint = "does kubectl get deployments work with it?"
        raise Unauthenticated(f'cannot sign in with context "{name}" ({type(error).__name__})', hint) from None
    return configuration


def _as_files(entry: Mapping[str, Any], keys: tuple[str, ...], folder: Path) -> dict[str, Any]:
    """Return an entry with its data in files of ours: the library's own stay until the process ends, or for ever."""
    given = dict(entry)
    for key in keys:
        if data := given.pop(f"{key}-data", None):
            path = folder / key
            try:
                path.write_bytes(base64.b64decode("".join(str(data).split()), validate=True))
            except ValueError:
                raise Unauthenticated(f"{key}-data in the kubeconfig is not base64") from None
            given[key] = str(path)
    return given


def _in_cluster() -> Access:
    import_sdk("kubernetes.aio.config")
    from kubernetes.aio.client import Configuration
    from kubernetes.aio.config import ConfigException, load_incluster_config

    configuration = Configuration()
    try:
        load_incluster_config(client_configuration=configuration)
        namespace = (SERVICE_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
    except (ConfigException, OSError):
        hint = "put a kubeconfig at ~/.kube/config, set KUBECONFIG, or name one in [kubernetes]"
        raise NotConfigured("no kubeconfig, and this is no pod", hint) from None
    return Access(configuration, "in-cluster", namespace or "default")


def _some(names: Mapping[str, Any]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:5]) + (" …" if len(shown) > 5 else "") or "none"
