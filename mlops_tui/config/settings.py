"""The settings: nested models whose docstrings are the manual, read from `mlops-tui.toml`.

An empty configuration is a good one: every system then is found as its own tools find it (kubeconfig,
`GITHUB_TOKEN`, `MLFLOW_TRACKING_URI` …).
"""

import difflib
import os
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from mlops_tui.domain.errors import ConfigError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


class Section(BaseModel):
    """A table of the file: frozen, and refusing keys that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


def _tuple(value: object) -> object:
    # TOML has arrays; frozen settings have tuples.
    return tuple(value) if isinstance(value, list) else value


Strings = Annotated[tuple[str, ...], BeforeValidator(_tuple)]


class FreezeSettings(Section):
    """`[environments.NAME.freezes.FREEZE]`: a time in which nothing is changed without saying why."""

    begins: str
    """When it begins, as five cron fields: `0 16 * * FRI`."""
    hours: Annotated[float, Field(gt=0, le=24 * 366)]
    """How long it lasts."""
    timezone: str = "UTC"
    """The time zone of `begins`: `Europe/Berlin`."""

    @field_validator("begins")
    @classmethod
    def _cron(cls, value: str) -> str:
        from cronsim import CronSim, CronSimError

        try:
            CronSim(value, datetime(2000, 1, 1, tzinfo=UTC))
        except CronSimError:
            raise ValueError(f'"{value}" is not five cron fields, such as 0 16 * * FRI') from None
        return value

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f'"{value}" is no time zone, such as Europe/Berlin') from None
        return value


class EnvironmentSettings(Section):
    """`[environments.NAME]`: one place where models run."""

    protected: bool = False
    """Whether this is production: shown so that nobody mistakes it; every change asks for its target's name, typed."""
    read_only: bool = False
    """Whether nothing may be changed here."""
    lock: bool = False
    """Whether a change takes the release lock, a Lease in its namespace, so that two people never change it at once."""
    freezes: dict[str, FreezeSettings] = {}
    """Times in which a change needs a reason, and the freeze's name as an override."""
    slack_webhook_env: str | None = None
    """The variable that holds the address of a Slack webhook, which is told of every operation here."""
    context: str | None = None
    """The kubeconfig context; the current one where unset."""
    namespaces: Strings = ()
    """Namespaces to watch; the context's own where empty. `*` means all of them."""
    repositories: Strings = ()
    """GitHub repositories, `owner/name`, beside those of `[github]`."""
    registry: str | None = None
    """The MLflow tracking URI of this environment; `[mlflow]`'s where unset."""
    stage: str | None = None
    """The registry stage that is meant to serve here."""
    alias: str | None = None
    """The registry alias that is meant to serve here."""

    @field_validator("repositories")
    @classmethod
    def _owner_and_name(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _check_repositories(value)


def _check_repositories(value: tuple[str, ...]) -> tuple[str, ...]:
    for repository in value:
        owner, _, name = repository.partition("/")
        if not owner or not name or "/" in name or " " in repository:
            raise ValueError(f'"{repository}" is not of the form owner/name')
    return value


class GitHubSettings(Section):
    """`[github]`"""

    repositories: Strings = ()
    """Repositories, `owner/name`; that of the working directory's git remote where empty."""
    base_url: str | None = None
    """The API's address; `https://api.github.com` where unset, `https://HOST/api/v3` for GitHub Enterprise Server."""
    token_env: str | None = None
    """The variable that holds the token; where unset `GITHUB_TOKEN` or `GH_TOKEN` for github.com, `GH_ENTERPRISE_TOKEN`
    or `GITHUB_ENTERPRISE_TOKEN` for another host, then `gh auth token`."""
    runs: Annotated[int, Field(ge=1, le=1000)] = 100
    """How many of the newest workflow runs to show of each repository."""

    @field_validator("repositories")
    @classmethod
    def _owner_and_name(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _check_repositories(value)


class GateSettings(Section):
    """`[mlflow.models."NAME".gates.METRIC]`: a metric's threshold; a metric that is missing fails."""

    at_least: float | None = None
    """The smallest value that passes."""
    at_most: float | None = None
    """The largest value that passes."""
    tolerance: float | None = None
    """By how much it may be worse than today's champion's; not compared where unset."""


class ModelSettings(Section):
    """`[mlflow.models."NAME"]`: how one model is judged."""

    metric: str
    """The metric to show and to compare with the champion's."""
    higher_is_better: bool = True
    """Whether more of it is better."""
    gates: dict[str, GateSettings] = {}
    """What a version has to show before it is promoted, by metric."""


class MlflowSettings(Section):
    """`[mlflow]`"""

    tracking_uri: str | None = None
    """`http(s)://…`, or `sqlite:///…` with the full mlflow installed; `$MLFLOW_TRACKING_URI` where unset."""
    registry_uri: str | None = None
    """The registry, where it is not at the tracking URI; `$MLFLOW_REGISTRY_URI` where unset."""
    champion: str = "champion"
    """The alias of the version that others are compared with."""
    models: dict[str, ModelSettings] = {}
    """How single models are judged."""


class KubernetesSettings(Section):
    """`[kubernetes]`"""

    kubeconfig: str | None = None
    """The kubeconfig, beside this file if relative; where unset `$KUBECONFIG`, `~/.kube/config`, a service account."""


class UiSettings(Section):
    """`[ui]`"""

    theme: str = "midnight"
    """A theme's name: of a file in `themes/` or in the configuration folder's `themes/`."""
    ascii: bool = False
    """Whether to keep to ASCII, for fonts and terminals that have no more."""
    keys: dict[str, str] = {}
    """Keys by the id of what they do, such as `"pane.refresh" = "r,f5"`; `mlops-tui config keys` lists the ids."""


class Settings(Section):
    """The whole file."""

    read_only: bool = False
    """Whether nothing may be changed from here."""
    journal: str | None = None
    """The journal of operations; `$MLOPS_TUI_JOURNAL`, or in the user's state folder, where unset."""
    ui: UiSettings = UiSettings()
    """How the screen looks."""
    github: GitHubSettings = GitHubSettings()
    """Workflow runs and pull requests."""
    mlflow: MlflowSettings = MlflowSettings()
    """Model versions."""
    kubernetes: KubernetesSettings = KubernetesSettings()
    """Rollouts."""
    environments: dict[str, EnvironmentSettings] = {}
    """Environments by name; one named `default` where there are none."""


def load_settings(path: Path | None) -> Settings:
    """Read the settings.

    Args:
        path: The file, or `None` for the defaults.

    Raises:
        ConfigError: The file is missing, cannot be read, is not TOML, or holds an unknown key or a wrong type; the
            message is one line that names file, key and, where there is one, the nearest valid key.
    """
    if path is None:
        return Settings()
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file", "mlops-tui config path says where a file is looked for") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a folder, not a file") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from None
    return parse_settings(data, str(path))


def refuse_untrusted(settings: Settings, path: Path) -> None:
    """Refuse what a file that nobody named must not decide: where credentials are sent, and which programs run.

    A checkout's own `mlops-tui.toml` is found by being there, and whoever wrote the checkout wrote it. It may name
    repositories, contexts and namespaces; an address or a kubeconfig (whose plugins are programs) takes a file that
    the user has named.

    Raises:
        ConfigError: The file sets such a key, or belongs to somebody else.
    """
    if path.stat().st_uid not in (os.getuid(), 0):
        raise ConfigError(f"{path}: belongs to another user", f"--config {path} says that you trust it")
    registries = {f"environments.{name}.registry": e.registry for name, e in settings.environments.items()}
    keys = {
        "kubernetes.kubeconfig": settings.kubernetes.kubeconfig,
        "github.base_url": settings.github.base_url,
        "github.token_env": settings.github.token_env,
        "mlflow.tracking_uri": settings.mlflow.tracking_uri,
        "mlflow.registry_uri": settings.mlflow.registry_uri,
        **registries,
        "journal": settings.journal,
    }
    for key, value in keys.items():
        if value is not None:
            what = "records" if key == "journal" else "credentials"
            raise ConfigError(
                f"{path}: {key} decides where {what} go, and nobody named this file",
                f"if you trust it: --config {path}, or MLOPS_TUI_CONFIG={path}",
            )


def parse_settings(data: Mapping[str, Any], name: str) -> Settings:
    """Check `data` as the settings; `name` is what messages call it. Raises `ConfigError`."""
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        # Unknown keys first: one is often the reason that a required one is missing.
        found = sorted(error.errors(include_url=False), key=lambda problem: problem["type"] != "extra_forbidden")
        lines = [f"{name}: {_describe(problem)}" for problem in found]
        more = f" (and {len(lines) - 1} more: mlops-tui config check)" if len(lines) > 1 else ""
        raise ConfigError(lines[0] + more, others=lines[1:]) from None


def _describe(problem: "ErrorDetails") -> str:
    location = [str(part) for part in problem["loc"]]
    key = ".".join(f'"{part}"' if "." in part or " " in part else part for part in location)
    if problem["type"] == "extra_forbidden":
        near = nearest(location[-1], _keys_at(location[:-1]))
        return f"unknown key {key}{f'; did you mean {near}?' if near else ''}"
    if problem["type"] == "missing":
        return f"{key} is missing"
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    message = message.replace("a valid tuple", "a list").replace("a valid dictionary", "a table")
    given = problem["input"]
    plain = isinstance(given, str | int | float | bool) and problem["type"] != "value_error"
    return f"{key}: must be {message}, not {given!r}" if plain else f"{key}: {message}"


def nearest(word: str, known: list[str]) -> str:
    """Return the known word that `word` was most likely meant to be; empty if none is close."""
    return next(iter(difflib.get_close_matches(word, known, n=1, cutoff=0.5)), "")


def _keys_at(location: list[str]) -> list[str]:
    """Return the keys that the table at `location` may hold."""
    model: type[BaseModel] | None = Settings
    for part in location:
        if model is None:
            return []
        field = model.model_fields.get(part)
        if field is None:
            continue  # a name of the user's own, such as an environment's: its table is the one already found
        model = _table_of(field.annotation)
    return sorted(model.model_fields) if model else []


def _table_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _table_of(part))), None)
