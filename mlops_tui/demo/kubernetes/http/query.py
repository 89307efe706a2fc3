"""The query parameters of lists and watches."""

from dataclasses import dataclass

from starlette.datastructures import QueryParams

from mlops_tui.demo.kubernetes.errors import bad_request
from mlops_tui.demo.kubernetes.resources import Resource
from mlops_tui.demo.kubernetes.selectors import Matcher, field_matcher, label_matcher

_TRUE = ("1", "t", "T", "true", "TRUE", "True")


def flag(query: QueryParams, name: str) -> bool:
    """Return whether a switch is on."""
    return query.get(name, "") in _TRUE


def number(query: QueryParams, name: str) -> int | None:
    """Return a whole number, `None` without one.

    Raises:
        ApiError: 400 for anything else.
    """
    text = query.get(name, "")
    if not text:
        return None
    if not text.removeprefix("-").isdecimal() or not text.isascii():
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


@dataclass(frozen=True)
class Selection:
    """Which objects of a type are asked for."""

    labels: str
    fields: str
    matches_labels: Matcher
    matches_fields: Matcher

    @classmethod
    def of(cls, query: QueryParams, resource: Resource) -> "Selection":
        """Return the selection that a query makes.

        Raises:
            ApiError: 400 for a selector that cannot be read.
        """
        labels, fields = query.get("labelSelector", ""), query.get("fieldSelector", "")
        return cls(labels, fields, label_matcher(labels), field_matcher(fields, resource))

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return not (self.labels or self.fields)

    def __call__(self, body: dict[str, object]) -> bool:
        return self.matches_labels(body) and self.matches_fields(body)
