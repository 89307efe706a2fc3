"""GraphQL: queries over GitHub's own schema (the part in `schema.graphql`), executed on the store's records."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    GraphQLSyntaxError,
    InlineFragmentNode,
    IntValueNode,
    Node,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    build_schema,
    execute_sync,
    parse,
    validate,
)
from pydantic_core import to_json

from mlops_tui.demo.github.graphql_records import Context, QueryError
from mlops_tui.demo.github.graphql_types import RESOLVERS, type_name
from mlops_tui.demo.github.http import ApiError, Call, Reply

NODE_LIMIT = 500_000
"""Nodes that one query may ask for."""
_POINTS_DIVISOR = 100
_MAX_TOKENS = 20_000
_NO_FIELD = re.compile(r"Cannot query field '(\w+)' on type '(\w+)'")
_LARGE_IDS = ("CheckRun", "CheckSuite", "WorkflowRun", "Workflow", "Repository")


@cache
def schema() -> GraphQLSchema:
    """Return the schema that is served."""
    text = files("mlops_tui.demo.github").joinpath("schema.graphql").read_text(encoding="utf-8")
    built = build_schema(text, assume_valid=True)
    for name in _LARGE_IDS:
        # GitHub declares these as Int and answers with numbers that an Int, of 32 bits, cannot hold.
        kind = built.type_map[name]
        assert isinstance(kind, GraphQLObjectType)
        kind.fields["databaseId"].type = built.type_map["BigInt"]
    return built


def graphql(call: Call) -> Reply:
    """Answer a query: 200 with `data` and `errors`, whatever becomes of it."""
    query, variables = call.fields.get("query"), call.fields.get("variables") or {}
    if not isinstance(query, str):
        raise ApiError(400, "A query attribute must be specified and must be a string.")
    if not isinstance(variables, dict):
        raise ApiError(400, "Variables must be an object.")
    document, problems = _checked(query)
    if document is None or problems:
        return _answer(None, [_format(problem) for problem in problems], 1)
    size = _size(document, call.fields.get("operationName"), variables)
    if size.nodes > NODE_LIMIT:
        message = f"This query requests up to {size.nodes:,} possible nodes which exceeds the maximum limit of 500,000."
        return _answer(None, [{"type": "MAX_NODE_LIMIT_EXCEEDED", "message": message}], 1)
    points = max(1, round(size.requests / _POINTS_DIVISOR))
    result = execute_sync(
        schema(),
        document,
        context_value=Context(call, points, size.nodes),
        variable_values=variables,
        operation_name=call.fields.get("operationName"),
        field_resolver=_resolve,
        type_resolver=lambda value, _info, _kind: type_name(value),
    )
    return _answer(result.data, [_format(error) for error in result.errors or ()], points)


def _answer(data: Mapping[str, Any] | None, errors: list[dict[str, Any]], points: int) -> Reply:
    payload: dict[str, Any] = {} if data is None else {"data": data}
    if errors:
        payload["errors"] = errors
    return Reply(body=to_json(payload), cost=points)


@lru_cache(maxsize=64)
def _checked(query: str) -> tuple[DocumentNode | None, tuple[GraphQLError, ...]]:
    try:
        document = parse(query, max_tokens=_MAX_TOKENS)
    except GraphQLSyntaxError as error:
        return None, (error,)
    return document, tuple(validate(schema(), document, max_errors=10))


def _resolve(source: Any, info: GraphQLResolveInfo, **arguments: Any) -> Any:
    resolver = RESOLVERS.get(info.parent_type.name, {}).get(info.field_name)
    if resolver is not None:
        return resolver(source, info.context, info.field_name, arguments)
    return getattr(source, _attribute(info.field_name))


@cache
def _attribute(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _format(error: GraphQLError) -> dict[str, Any]:
    formatted: dict[str, Any] = dict(error.formatted)
    if missing := _NO_FIELD.match(error.message):
        field, kind = missing.groups()
        formatted |= {
            "message": f"Field '{field}' doesn't exist on type '{kind}'",
            "path": _path_to(error),
            "extensions": {"code": "undefinedField", "typeName": kind, "fieldName": field},
        }
    if isinstance(error.original_error, QueryError):
        formatted["type"] = error.original_error.type
    return formatted


def _path_to(error: GraphQLError) -> list[str]:
    """Return where in its query a field is that cannot be asked for, as GitHub says it."""
    place = next(iter(error.positions or ()), 0)
    path: list[str] = []

    def walk(node: Node) -> None:
        if node.loc is None or not node.loc.start <= place < node.loc.end:
            return
        if isinstance(node, OperationDefinitionNode):
            path.append(f"{node.operation.value} {node.name.value}" if node.name else node.operation.value)
        elif isinstance(node, FragmentDefinitionNode):
            path.append(f"fragment {node.name.value}")
        elif isinstance(node, InlineFragmentNode):
            path.append(f"... on {node.type_condition.name.value}" if node.type_condition else "...")
        elif isinstance(node, FieldNode):
            path.append((node.alias or node.name).value)
        for inner in getattr(getattr(node, "selection_set", None), "selections", ()):
            walk(inner)

    if error.source is not None:
        for definition in parse(error.source, max_tokens=_MAX_TOKENS).definitions:
            walk(definition)
    return path


@dataclass(slots=True)
class _Size:
    """What a query asks for, before anybody knows how much of it there is."""

    requests: int = 0
    nodes: int = 0


def _size(document: DocumentNode, operation: object, variables: Mapping[str, object]) -> _Size:
    """Return a query's size by GitHub's rule: each connection counts once for every node above it."""
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    size = _Size()

    def walk(selections: SelectionSetNode | None, times: int) -> None:
        for node in selections.selections if selections else ():
            inner = times
            if isinstance(node, FragmentSpreadNode):
                walk(fragments[node.name.value].selection_set, times)
                continue
            if isinstance(node, FieldNode) and (limit := _limit(node, variables)) is not None:
                size.requests += times
                size.nodes += times * limit
                inner = times * limit
            walk(getattr(node, "selection_set", None), inner)

    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode) and (
            not operation or (node.name is not None and node.name.value == operation)
        ):
            walk(node.selection_set, 1)
    return size


def _limit(node: FieldNode, variables: Mapping[str, object]) -> int | None:
    for argument in node.arguments:
        if argument.name.value in ("first", "last"):
            value = argument.value
            if isinstance(value, IntValueNode):
                return int(value.value)
            if isinstance(value, VariableNode):
                given = variables.get(value.name.value)
                return given if isinstance(given, int) else None
    return None
