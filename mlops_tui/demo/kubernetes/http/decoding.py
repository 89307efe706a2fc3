"""What becomes of the fields of a body that its type does not have: `fieldValidation`."""

import json
from typing import Any

from mlops_tui.demo.kubernetes import errors
from mlops_tui.demo.kubernetes.http.options import WriteOptions
from mlops_tui.demo.kubernetes.http.paths import Target
from mlops_tui.demo.kubernetes.strict import by_name, decoded


class Fields:
    """Decodes the bodies of one request.

    Attributes:
        warnings: What the client is to be told of.
    """

    def __init__(self, target: Target, options: WriteOptions) -> None:
        self.warnings: list[str] = []
        self._resource = target.resource
        self._kind = "Scale" if target.subresource == "scale" else ""
        self._validation = options.validation

    def sent(self, body: Any) -> Any:
        """Return an object that a client sent, with the fields that there are.

        Raises:
            ApiError: 400 for others, if the client wants that.
        """
        kept, unknown = decoded(self._resource, body, self._kind)
        if unknown and self._validation == "Strict":
            raise errors.unknown_fields(self._resource, unknown)
        self._warn(unknown)
        return kept

    def patched(self, body: Any) -> Any:
        """Return what a patch makes of an object, with the fields that there are.

        Raises:
            ApiError: 422 for others, if the client wants that.
        """
        kept, unknown = decoded(self._resource, body, self._kind)
        if unknown and self._validation == "Strict":
            raise errors.unknown_fields_patched(json.dumps(body, separators=(",", ":")), unknown)
        self._warn(unknown)
        return kept

    def check_applied(self, configuration: Any) -> None:
        """Refuse a configuration with fields that there are not, whatever the client wants.

        Raises:
            ApiError: 500.
        """
        if unknown := decoded(self._resource, configuration, place=by_name)[1]:
            raise errors.unknown_fields_applied(unknown)

    def _warn(self, unknown: list[str]) -> None:
        if self._validation == "Warn":
            self.warnings += [f'unknown field "{field}"' for field in unknown]
