"""The MLflow SDK, as the few calls that are needed. Everything here blocks and belongs into a worker thread."""

import logging
import math
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, TypeVar

from mlops_tui.domain.errors import MlopsTuiError, NotConfigured, Refused
from mlops_tui.domain.text import clean_line
from mlops_tui.sources.imports import import_sdk
from mlops_tui.sources.mlflow.address import INSTALL_HINT, Address, check, label_of, user_of
from mlops_tui.sources.mlflow.facts import ModelFacts, Page, RunDetail, RunFacts, VersionFacts
from mlops_tui.sources.mlflow.failures import chain_of, is_broken_connection, to_source_error, to_write_error
from mlops_tui.sources.mlflow.passage import Passage, install

T = TypeVar("T")

ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",  # seconds to connect, and to wait for data: the SDK takes one for both
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # it would ask a silent server again, for as long
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",  # it would sleep in our thread for as long as a server says
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_CONFIGURE_LOGGING": "false",
}
"""What the SDK is told before it is imported."""
MODELS_PAGE = 100
VERSIONS_PAGE = 1000
RUNS_PAGE = 200
EXPERIMENTS_PAGE = 1000
NEWEST_FIRST = "last_updated_timestamp DESC"


@cache
def load_sdk() -> Any:
    """Import the SDK and return its client class. Raises `NotConfigured` if it is not installed."""
    os.environ.update(ENVIRONMENT)
    for name in ("mlflow", "alembic", "sqlalchemy"):
        # Without any handler Python prints warnings on stderr, in the middle of the screen.
        logging.getLogger(name).addHandler(logging.NullHandler())
        warnings.filterwarnings("ignore", module=rf"{name}(\.|$)")
    try:
        import_sdk("mlflow.tracking")
        from mlflow.tracking import MlflowClient
    except ImportError as error:
        raise NotConfigured(f"the package mlflow cannot be imported: {error}", INSTALL_HINT) from None
    install()
    return MlflowClient


class Registry:
    """One MLflow registry and the runs behind its versions.

    Every method raises `Unavailable`, `Unauthenticated`, `Denied` or `Missing`.
    """

    def __init__(self, address: Address, *, read_only: bool = False) -> None:
        """Connect, as far as that is needed. Raises `NotConfigured` too.

        Args:
            read_only: Whether nothing may be changed, whatever is called.
        """
        load_sdk()
        self.address = address
        self._read_only = read_only
        self._client: Any = self._connect(check(address))
        self._writing: Any = None

    def check(self) -> None:
        """Raise `Unavailable` if the registry is a file that is gone, which an open database does not notice."""
        check(self.address)

    def ask(self, call: Callable[[Any], T], *, of_runs: bool = False) -> T:
        """Return what `call` reads with the SDK's client; a connection that broke is made again, once."""
        return self._ask(lambda: call(self._client), self.address.tracking if of_runs else self.address.registry)

    def tell(self, call: Callable[[Any], object]) -> None:
        """Let `call` change something with the SDK's client, once.

        Raises:
            Refused: Nothing may be changed here; nothing was sent.
            OutcomeUnknown: It was sent, and nobody can say what became of it.
        """
        if self._read_only:
            raise Refused(f"{self.address.label} is read-only: nothing was sent")
        client = self._writer()
        passage = self._passage()
        try:
            with passage:
                call(client)
        except Exception as error:  # noqa: BLE001  as in `_ask`
            raise _own(error) or to_write_error(
                error,
                self.address.label,
                _foreign_status(error, passage),
                answered=passage.status if passage.sent else None,
                sent=passage.sent or not self.address.ui,
            ) from None

    def models(self, token: str = "", size: int = MODELS_PAGE, *, newest_first: bool = False) -> Page[ModelFacts]:
        """Return a page of registered models, by name or by their last change."""
        found = self._ask(
            lambda: self._client.search_registered_models(
                max_results=size, order_by=[NEWEST_FIRST if newest_first else "name ASC"], page_token=token or None
            ),
            self.address.registry,
        )
        return Page([_model(each) for each in found], found.token or "")

    def versions(
        self, token: str = "", size: int = VERSIONS_PAGE, *, newest_first: bool = False, condition: str = ""
    ) -> Page[VersionFacts]:
        """Return a page of model versions, by name and number or by their last change."""
        order = [NEWEST_FIRST] if newest_first else []
        found = self._ask(
            lambda: self._client.search_model_versions(
                filter_string=condition or None,
                max_results=size,
                order_by=[*order, "name ASC", "version_number ASC"],
                page_token=token or None,
            ),
            self.address.registry,
        )
        return Page([_version(each) for each in found], found.token or "")

    def version(self, model: str, version: int) -> tuple[VersionFacts, tuple[str, ...]]:
        """Return one version and its aliases."""
        found = self._ask(lambda: self._client.get_model_version(model, str(version)), self.address.registry)
        return _version(found), tuple(sorted(found.aliases or ()))

    def experiments(self, token: str = "") -> Page[str]:
        """Return a page of experiment ids, deleted ones too: their runs may well serve."""
        found = self._ask(
            lambda: self._client.search_experiments(
                view_type=_all_views(), max_results=EXPERIMENTS_PAGE, page_token=token or None
            ),
            self.address.tracking,
        )
        return Page([str(each.experiment_id) for each in found], found.token or "")

    def runs(self, run_ids: Sequence[str], experiments: Sequence[str]) -> list[RunFacts]:
        """Return those of at most `RUNS_PAGE` runs that are there."""
        found = self._ask(
            lambda: self._client.search_runs(
                experiment_ids=list(experiments),
                filter_string=f"attributes.run_id IN ({quoted(run_ids)})",
                run_view_type=_all_views(),
                max_results=RUNS_PAGE,
            ),
            self.address.tracking,
        )
        return [_run(each) for each in found]

    def run(self, run_id: str) -> RunDetail:
        """Return everything of one run."""
        found = self._ask(lambda: self._client.get_run(run_id), self.address.tracking)
        info, data = found.info, found.data
        return RunDetail(
            run_id=str(info.run_id),
            name=str(info.run_name or ""),
            experiment_id=str(info.experiment_id or ""),
            status=str(info.status or ""),
            user=str(data.tags.get("mlflow.user") or info.user_id or ""),
            started=int(info.start_time or 0),
            ended=int(info.end_time or 0),
            metrics=dict(data.metrics),
            params=dict(data.params),
            tags=dict(data.tags),
        )

    def server_version(self) -> str:
        """Return the server's version; empty where it does not say."""
        if not self.address.ui:
            from mlflow.version import VERSION

            return str(VERSION)
        answer = self.get(self.address.registry, "/version")
        text = str(answer.text).strip() if answer is not None and answer.status_code == 200 else ""
        # A page that answers anything at all is no version.
        return clean_line(text) if text[:1].isdigit() and len(text) < 40 else ""

    def identity(self) -> str:
        """Return as whom the SDK signs in, never with what."""
        if not self.address.ui:
            return user_of(self.address.registry)
        from mlflow.utils.credentials import read_mlflow_creds

        credentials = read_mlflow_creds()
        if credentials.username and credentials.password:
            return clean_line(credentials.username)
        if os.environ.get("MLFLOW_TRACKING_TOKEN"):
            return "token"
        if os.environ.get("MLFLOW_TRACKING_AUTH"):
            return clean_line(os.environ["MLFLOW_TRACKING_AUTH"])
        return user_of(self.address.registry) or "anonymous"

    def get(self, uri: str, path: str) -> Any:
        """Return the answer to a GET of a path with its query, whatever its status; `None` where there is none."""
        from mlflow.utils.credentials import get_default_host_creds
        from mlflow.utils.rest_utils import http_request

        try:
            with self._passage():
                return http_request(get_default_host_creds(uri), path, "GET", max_retries=0, raise_on_status=False)
        except Exception:  # noqa: BLE001  only more about something that is known already
            return None

    def _connect(self, opened: Address) -> Any:
        client = load_sdk()
        return self._ask(
            lambda: client(tracking_uri=opened.tracking, registry_uri=opened.registry), self.address.registry
        )

    def _writer(self) -> Any:
        """Return the client that may write: over HTTP the same, for a database in a file another one."""
        if self._writing is None:
            reading, writing = check(self.address), check(self.address, writes=True)
            self._writing = self._client if reading == writing else self._connect(writing)
        return self._writing

    def _passage(self) -> Passage:
        return Passage(self.address.tracking, self.address.registry, read_only=self._read_only)

    def _ask(self, call: Callable[[], T], uri: str) -> T:
        passage = self._passage()
        try:
            with passage:
                try:
                    return call()
                except Exception as error:
                    if not is_broken_connection(error):
                        raise
                return call()  # a kept connection that the server has closed meanwhile says nothing of the server
        except Exception as error:  # noqa: BLE001  the SDK lets through whatever its transports and drivers raise
            # Not chained: the SDK's messages hold the whole URL, with a password if it has one.
            raise _own(error) or to_source_error(error, label_of(uri), _foreign_status(error, passage)) from None


def _own(error: Exception) -> MlopsTuiError | None:
    """Return the error of ours that the SDK wrapped in one of its own."""
    return next((part for part in chain_of(error) if isinstance(part, MlopsTuiError)), None)


def _foreign_status(error: Exception, passage: Passage) -> int | None:
    """Return the HTTP status of an answer in a foreign JSON, which the SDK does not tell."""
    answer = getattr(error, "json", None)
    foreign = isinstance(answer, dict) and not answer.get("error_code")
    return passage.status if foreign and passage.status != 200 else None


def quoted(values: Iterable[str]) -> str:
    """Return `values` as MLflow's filters want a list. Only for values that `is_quotable`."""
    return ", ".join(f"'{value}'" for value in values)


def is_quotable(value: str) -> bool:
    """Whether a filter can hold `value` without any escaping, in which MLflow's versions differ."""
    return value.isprintable() and not set(value) & set("'\"\\`")


def _all_views() -> Any:
    from mlflow.entities import ViewType

    return ViewType.ALL


def _model(found: Any) -> ModelFacts:
    return ModelFacts(
        name=str(found.name),
        aliases={str(alias): int(version) for alias, version in (found.aliases or {}).items()},
        latest=tuple(_version(each) for each in found.latest_versions or ()),
        updated=int(found.last_updated_timestamp or 0),
    )


def _version(found: Any) -> VersionFacts:
    stage = str(found.current_stage or "None")
    return VersionFacts(
        model=str(found.name),
        version=int(found.version),
        stage=None if stage == "None" else stage,
        status=clean_line(found.status),
        status_message=str(found.status_message or ""),
        description=str(found.description or ""),
        tags=dict(found.tags or {}),
        run_id=clean_line(found.run_id),
        source=str(found.source or ""),
        user=str(found.user_id or ""),
        created=int(found.creation_timestamp or 0),
        updated=int(found.last_updated_timestamp or 0),
    )


def _run(found: Any) -> RunFacts:
    return RunFacts(
        run_id=str(found.info.run_id),
        status=clean_line(found.info.status),
        git_commit=clean_line(found.data.tags.get("mlflow.source.git.commit")),
        # No comparison holds for NaN, and JSON has no word for it; the detail view shows it as it is.
        metrics={name: value for name, value in found.data.metrics.items() if math.isfinite(value)},
    )
