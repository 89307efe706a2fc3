"""Lists, whole or page by page."""

import base64
import binascii
import json
from collections import OrderedDict
from dataclasses import dataclass

from mlops_tui.demo.kubernetes.cluster import Cluster
from mlops_tui.demo.kubernetes.errors import bad_request, expired
from mlops_tui.demo.kubernetes.http.paths import Target
from mlops_tui.demo.kubernetes.http.query import Selection
from mlops_tui.demo.kubernetes.store import JsonObject, Key, Stored

SNAPSHOTS = 32
"""Paged lists that are kept for their next page; who comes back later has to start again, as after a compaction."""

_Snapshot = tuple[str, str, str, str, int]
_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter."
)


@dataclass(frozen=True)
class Page:
    """Some objects, and the list's metadata."""

    objects: list[Stored]
    metadata: JsonObject


class Pager:
    """Hands out lists in pages that all show the same moment."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._snapshots: OrderedDict[_Snapshot, list[Stored]] = OrderedDict()

    def page(self, target: Target, selection: Selection, limit: int, token: str) -> Page:
        """Return a page.

        Args:
            limit: The most objects, 0 or less for all.
            token: Where the page before ended, empty for the first.

        Raises:
            ApiError: 400 for a token that is none; 410 for one whose list is no longer kept.
        """
        version, start = _read_token(token) if token else (self._cluster.store.version, None)
        key = (target.resource.qualified, target.namespace, selection.labels, selection.fields, version)
        if version == self._cluster.store.version:
            objects = self._cluster.store.select(target.resource, target.namespace)
            if not selection.everything:
                objects = [stored for stored in objects if selection(stored.body)]
        elif key in self._snapshots:
            objects = self._snapshots[key]
        else:
            raise expired(_TOO_OLD)
        rest = objects if start is None else [stored for stored in objects if stored.key > start]
        metadata = {"resourceVersion": str(version)}
        if limit <= 0 or len(rest) <= limit:
            return Page(rest, metadata)
        self._keep(key, objects)
        page = rest[:limit]
        metadata["continue"] = _token(version, page[-1].key)
        if selection.everything:
            return Page(page, {**metadata, "remainingItemCount": len(rest) - limit})
        return Page(page, metadata)

    def _keep(self, key: _Snapshot, objects: list[Stored]) -> None:
        self._snapshots[key] = objects
        self._snapshots.move_to_end(key)
        if len(self._snapshots) > SNAPSHOTS:
            self._snapshots.popitem(last=False)


def _token(version: int, key: Key) -> str:
    text = json.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": "/".join(key)}, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_token(token: str) -> tuple[int, Key]:
    try:
        fields = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        namespace, _, name = fields["start"].partition("/")
        return int(fields["rv"]), (namespace, name)
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise bad_request("invalid continue token: continue key is not valid") from error
