"""What a workflow asks of whoever starts it by hand, read from its file. Pure."""

from typing import Any

Json = dict[str, Any]


def dispatch_inputs(text: str) -> dict[str, Json] | None:
    """Return the inputs of a workflow file by name, or `None` where it cannot be started by hand.

    Each has `type`, `required`, `default` (a text), `options` and `description`.

    Raises:
        ValueError: It is no YAML, or no workflow.
    """
    import yaml

    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"no YAML: {type(error).__name__}") from None
    if not isinstance(data, dict):
        raise ValueError("no workflow")
    # YAML 1.1 takes the word `on` for true.
    triggers = data.get("on", data.get(True))
    if isinstance(triggers, str):
        triggers = [triggers]
    if isinstance(triggers, list):
        triggers = dict.fromkeys(trigger for trigger in triggers if isinstance(trigger, str))
    if not isinstance(triggers, dict):
        raise ValueError("no triggers")
    if "workflow_dispatch" not in triggers:
        return None
    inputs = (
        (triggers["workflow_dispatch"] or {}).get("inputs") if isinstance(triggers["workflow_dispatch"], dict) else {}
    )
    if not isinstance(inputs, dict):
        return {}
    return {_text(name): _input(said if isinstance(said, dict) else {}) for name, said in inputs.items()}


def _input(said: Json) -> Json:
    options = said.get("options")
    return {
        "type": _text(said.get("type")) or "string",
        "required": said.get("required") is True,
        "default": _text(said.get("default")),
        "options": [_text(option) for option in options] if isinstance(options, list) else [],
        "description": _text(said.get("description")),
    }


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    # Nothing else: a few aliases can stand for a list whose text has no end.
    return str(value) if isinstance(value, str | int | float) else ""
