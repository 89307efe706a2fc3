"""Which of the official schemas judges what passes between the source and a server."""

from collections.abc import Mapping
from typing import Any

from tests.support.kubernetes_schema import check_event, check_object

UNPUBLISHED = (None, "SelfSubjectReview")
"""Kinds without a schema; `/version` has no kind."""


def check(thing: Mapping[str, Any]) -> None:
    """Raise unless `thing`, an object, a list or a watch event, is what it says."""
    if "type" in thing and "object" in thing:
        check_event(thing)
    elif thing.get("kind") not in UNPUBLISHED:
        check_object(thing)
