"""What became of a write, by what the SDK raises: only what surely did not happen is told as such."""

import pytest

from mlops_tui.domain.errors import Denied, Missing, OutcomeUnknown, SourceError, Unavailable
from mlops_tui.sources.mlflow.failures import to_write_error


class MlflowError(Exception):
    """An exception of the SDK's, with its code."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.error_code = code


class NewConnectionError(Exception):
    """As urllib3 calls a connection that was never made."""


@pytest.mark.parametrize(
    ("error", "answered", "sent", "kind"),
    [
        (MlflowError("API request failed with timeout exception Read timed out"), None, True, OutcomeUnknown),
        (MlflowError("API request failed with timeout exception Read timed out"), None, False, Unavailable),
        (MlflowError("failed with exception too many 503 error responses"), None, True, OutcomeUnknown),
        (MlflowError("failed with exception too many 429 error responses"), None, True, Unavailable),
        (MlflowError("failed with exception too many 408 error responses"), None, True, OutcomeUnknown),
        (MlflowError("odd", "INVALID_PARAMETER_VALUE"), 400, True, Unavailable),
        (MlflowError("none", "RESOURCE_DOES_NOT_EXIST"), 404, True, Missing),
        (MlflowError("no", "PERMISSION_DENIED"), 403, True, Denied),
        (MlflowError("odd", "INTERNAL_ERROR"), 500, True, OutcomeUnknown),
        (MlflowError("odd", "INVALID_PARAMETER_VALUE"), 500, True, OutcomeUnknown),
        # A database: there is no answer with a status, and a statement is on its way at once.
        (MlflowError("none", "RESOURCE_DOES_NOT_EXIST"), None, True, Missing),
        (MlflowError("(sqlite3.OperationalError) database is locked", "INTERNAL_ERROR"), None, True, Unavailable),
        (MlflowError("(psycopg2.OperationalError) server closed the connection"), None, True, OutcomeUnknown),
    ],
)
def test_what_became_of_a_write(error: Exception, answered: int | None, sent: bool, kind: type[SourceError]) -> None:
    assert type(to_write_error(error, "registry", answered=answered, sent=sent)) is kind


def test_a_connection_that_was_never_made_has_sent_nothing() -> None:
    error = MlflowError("API request failed with exception")
    error.__cause__ = NewConnectionError("Connection refused")
    told = to_write_error(error, "registry", answered=None, sent=True)
    assert isinstance(told, Unavailable)
    assert "connection refused" in told.message
