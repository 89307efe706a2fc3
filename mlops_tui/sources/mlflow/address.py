"""Where a registry is, and how that is said without giving a password away."""

import os
import re
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote, urlsplit

from mlops_tui.domain.errors import NotConfigured, Unavailable
from mlops_tui.domain.model import Channel, MetricRule
from mlops_tui.domain.text import clean_line

INSTALL_HINT = 'pip install "mlops-tui[demo]" (or mlflow)'
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_SECRETS = ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD")


@dataclass(frozen=True)
class MlflowTarget:
    """One registry to read, as the configuration has it.

    Attributes:
        source_id: The source's id on the board.
        tracking_uri: `$MLFLOW_TRACKING_URI` where `None`.
        registry_uri: `$MLFLOW_REGISTRY_URI`, then the tracking URI, where `None`.
        registry: What the registry is called on screen.
        champion: The alias of the version that others are compared with.
        models: How single models are judged, by name.
        environments: The environments that this registry serves.
        stages: The stage that is meant to serve in each of `environments`; `None` where it has none.
        aliases: The alias that is meant to serve in each of `environments`; `None` where it has none.
        read_only: Whether nothing may be changed.
    """

    source_id: str
    tracking_uri: str | None = field(default=None, repr=False)
    registry_uri: str | None = field(default=None, repr=False)
    registry: str = "mlflow"
    champion: str = "champion"
    models: Mapping[str, MetricRule] = field(default_factory=dict)
    environments: tuple[str, ...] = ()
    stages: tuple[str | None, ...] = ()
    aliases: tuple[str | None, ...] = ()
    read_only: bool = False

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The environments' pairs of stage and alias."""
        pairs = zip(self.stages, self.aliases, strict=False)
        return tuple(Channel(stage, alias) for stage, alias in pairs if stage and alias)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a registry and its runs are; may hold a password, which `repr` and `label` leave out."""

    tracking: str = field(repr=False)
    registry: str = field(repr=False)

    @property
    def label(self) -> str:
        """The registry's host or file."""
        return label_of(self.registry)

    @property
    def is_split(self) -> bool:
        """Whether the runs are kept elsewhere than the versions."""
        return self.tracking.rstrip("/") != self.registry.rstrip("/")

    @property
    def ui(self) -> str:
        """The base of MLflow's own pages; empty where no server has any."""
        return _ui(self.registry)

    def run_page(self, experiment_id: str, run_id: str) -> str:
        """Return MLflow's own page of a run; empty where no server has any."""
        base = _ui(self.tracking)
        return f"{base}/#/experiments/{quote(experiment_id, safe='')}/runs/{quote(run_id, safe='')}" if base else ""


def resolve(target: MlflowTarget, environ: Mapping[str, str]) -> Address:
    """Return where `target` is. Raises `NotConfigured` if nothing says so."""
    tracking = target.tracking_uri or environ.get("MLFLOW_TRACKING_URI") or ""
    registry = target.registry_uri or environ.get("MLFLOW_REGISTRY_URI") or tracking
    if not registry:
        raise NotConfigured(
            "no MLflow server is configured", 'set MLFLOW_TRACKING_URI, or [mlflow] tracking_uri = "http://…"'
        )
    return Address((tracking or registry).strip(), registry.strip())


def shown(uri: str) -> str:
    """Return `uri` without user, password and query."""
    head, separator, rest = uri.partition("://")
    if not separator or _scheme(uri) == "sqlite":
        return clean_line(uri.partition("?")[0])
    # The user first: a password may hold any of the characters that end an address.
    return clean_line(f"{head}://{re.split('[?#]', rest.rpartition('@')[2], maxsplit=1)[0]}")


def _ui(uri: str) -> str:
    return shown(uri).rstrip("/") if uri.startswith(("http://", "https://")) else ""


def label_of(uri: str) -> str:
    """Return the short name of what `uri` leads to: host and path, or file name."""
    if _scheme(uri) == "sqlite":
        return Path(uri.partition(":///")[2].partition("?")[0]).name
    return shown(uri).partition("://")[2].rstrip("/") or shown(uri)


def user_of(uri: str) -> str:
    """Return the user that `uri` names; empty if it names none."""
    try:
        return clean_line(urlsplit(uri).username or "")
    except ValueError:
        return ""


def redact(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return `text` without what could sign somebody in."""
    for secret in filter(None, map(environ.get, _SECRETS)):
        text = text.replace(secret, "…")
    return clean_line(re.sub(r"//\S*@", "//", text))


def check(address: Address, *, writes: bool = False) -> Address:
    """Return the address to open: databases in files only if they are there, and for reading where not `writes`.

    Raises:
        NotConfigured: The kind of address needs a package that is missing, or is not supported.
        Unavailable: The file is missing, or is no MLflow database.
    """
    return Address(_check(address.tracking, writes=False), _check(address.registry, writes=writes))


def _scheme(uri: str) -> str:
    return uri.partition(":")[0].partition("+")[0].lower()


def _check(uri: str, *, writes: bool) -> str:
    scheme = _scheme(uri)
    if scheme == "file" or ":" not in uri:
        raise NotConfigured(
            f"{shown(uri)}: a folder of files cannot be read", "use http(s)://… or sqlite:///… as the tracking URI"
        )
    if scheme in DATABASES and (missing := _missing("sqlalchemy", "alembic")):
        raise NotConfigured(f"{shown(uri)} needs the full mlflow: {missing} is not installed", INSTALL_HINT)
    return _opened(uri, "rw" if writes else "ro") if scheme == "sqlite" else uri


def _missing(*packages: str) -> str:
    return next((package for package in packages if find_spec(package) is None), "")


def _opened(uri: str, mode: str) -> str:
    """Return the URI that opens the file of `uri` in a mode of SQLite's that makes no file: `ro` or `rw`.

    The SDK would create a missing file. It would also migrate one of another version, which it cannot where it may
    only read: what is to be written has to be opened for reading first.
    """
    from sqlalchemy import make_url

    file = Path(make_url(uri).database or "").absolute()
    if not file.is_file():
        raise Unavailable(f"{file}: no such file", "check the tracking URI; it is not created from here")
    name = f"file:{quote(str(file))}"
    try:
        with closing(sqlite3.connect(f"{name}?mode=ro", uri=True, timeout=1)) as database:
            rows = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    except sqlite3.Error as error:
        raise Unavailable(f"{file}: {error}", "is it an MLflow database, and may you read it?") from None
    if not _has_tables(name for (name,) in rows):
        raise Unavailable(f"{file}: is not an MLflow database", "check the tracking URI")
    for part in (name, quote(name)):
        # The driver's name keeps the SDK from making folders for a path that it does not understand.
        opened = f"sqlite+pysqlite:///{part}?mode={mode}&uri=true"
        # SQLAlchemy 2.1 takes a level of quoting away, 2.0 does not; a wrong guess would open another file.
        if make_url(opened).database == name:
            return opened
    raise Unavailable(f"{file}: a path with such characters cannot be opened", "rename the file or its folder")


def _has_tables(names: Iterable[str]) -> bool:
    return {"experiments", "registered_models"} <= set(names)
