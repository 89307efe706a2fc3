"""Label and field selectors: parsing with the API server's messages, and matching."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from mlops_tui.demo.kubernetes.errors import bad_request
from mlops_tui.demo.kubernetes.resources import Resource

Matcher = Callable[[Mapping[str, Any]], bool]
"""Says whether an object (its body) is selected."""

_TOKEN = re.compile(r"\s*(?:(==|!=|=|,|\(|\)|!)|([^\s=!,()]+))")
_EQUAL = ("=", "==")


class _Tokens:
    """The tokens of a label selector; past the end there are empty ones."""

    def __init__(self, text: str) -> None:
        self._tokens = [first or second for first, second in _TOKEN.findall(text.rstrip())]
        self._next = 0

    def peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self._next += 1
        return token


def _requirement_error(found: str, expected: str) -> Exception:
    return bad_request(f"unable to parse requirement: found '{found}', expected: {expected}")


def _value_set(tokens: _Tokens) -> frozenset[str]:
    if (found := tokens.take()) != "(":
        raise _requirement_error(found, "'('")
    values = []
    while True:
        values.append("" if tokens.peek() in (",", ")") else tokens.take())
        if (found := tokens.take()) == ")":
            return frozenset(values)
        if found != ",":
            raise _requirement_error(found, "',' or ')'")


def _requirement(tokens: _Tokens) -> Callable[[Mapping[str, str]], bool]:
    key = tokens.take()
    if key == "!":
        absent = tokens.take()
        return lambda labels: absent not in labels
    if not key or key in ("=", "==", "!=", ",", "(", ")"):
        raise _requirement_error(key, "!, identifier, or 'end of string'")
    operator = tokens.peek()
    if operator in ("", ","):
        return lambda labels: key in labels
    tokens.take()
    if operator in (*_EQUAL, "!="):
        value = "" if tokens.peek() in ("", ",") else tokens.take()
        if operator == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if operator in ("in", "notin"):
        values = _value_set(tokens)
        if operator == "notin":
            return lambda labels: labels.get(key) not in values
        return lambda labels: labels.get(key) in values
    raise _requirement_error(operator, "'=', '!=', '==', 'in', notin'")


def label_matcher(text: str) -> Matcher:
    """Return the matcher of a label selector such as `app=x,tier in (a,b),!canary`.

    Raises:
        ApiError: 400, as the server words it.
    """
    tokens = _Tokens(text)
    requirements = []
    while tokens.peek():
        requirements.append(_requirement(tokens))
        if (found := tokens.take()) not in ("", ","):
            raise _requirement_error(found, "',' or 'end of string'")
    return lambda body: all(holds(body["metadata"].get("labels") or {}) for holds in requirements)


def field_matcher(text: str, resource: Resource) -> Matcher:
    """Return the matcher of a field selector such as `metadata.name=x,status.phase!=Running`.

    Raises:
        ApiError: 400, also for a field that this resource cannot be selected by.
    """
    known = ("metadata.name", "metadata.namespace", *resource.field_labels)
    requirements: list[tuple[tuple[str, ...], bool, str]] = []
    for term in filter(None, text.split(",")):
        found = re.fullmatch(r"\s*([^=!]+?)(!=|==|=)(.*)", term)
        if found is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{term}'")
        field, operator, value = found.groups()
        if field not in known:
            only = ", ".join(f'"{name}"' for name in known[:2])
            raise bad_request(f'"{field}" is not a known field selector: only {only}')
        path = ("source", "component") if field == "source" else tuple(field.split("."))
        requirements.append((path, operator != "!=", value))
    return lambda body: all((field_value(body, path) == value) is wanted for path, wanted, value in requirements)


def field_value(body: Mapping[str, Any], path: tuple[str, ...]) -> str:
    """Return the field at `path`, as field selectors see it: what is missing is empty."""
    value: Any = body
    for part in path:
        value = value.get(part, "") if isinstance(value, Mapping) else ""
    return str(value)


def labels_match(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Say whether a `LabelSelector` object selects `labels`; an empty one selects everything."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expression_holds(expression, labels) for expression in selector.get("matchExpressions") or ())


def _expression_holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, operator, values = expression.get("key", ""), expression.get("operator"), expression.get("values") or ()
    match operator:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels


def selector_text(selector: Mapping[str, Any]) -> str:
    """Return a `LabelSelector` object as the one line that tables and `Scale` show."""
    terms = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for expression in selector.get("matchExpressions") or ():
        key, values = expression["key"], ",".join(sorted(expression.get("values") or ()))
        match expression["operator"]:
            case "In":
                terms.append(f"{key} in ({values})")
            case "NotIn":
                terms.append(f"{key} notin ({values})")
            case "Exists":
                terms.append(key)
            case _:
                terms.append(f"!{key}")
    return ",".join(terms)
