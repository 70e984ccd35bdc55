"""What a key may be, in words: for messages and for the table of keys."""

from collections.abc import Mapping
from typing import Any

#: Type of JSON Schema -> what YAML has for it.
TYPES = {
    "object": "a mapping of keys",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}
_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "more than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
}


def bounds(node: Mapping[str, Any]) -> str:
    """The range of a number; "" where it has none."""
    return " and ".join(f"{word} {_number(node[key])}" for key, word in _BOUNDS.items() if key in node)


def length(node: Mapping[str, Any]) -> str:
    """How many values a list has; "" where that is free."""
    least, most = node.get("minItems", 0), node.get("maxItems")
    if most is None:
        return f"at least {least}" if least else ""
    return f"{least}" if least == most else f"{least} to {most}"


def choices(node: Mapping[str, Any]) -> list[Any]:
    """The values that a key is one of; [] if they are not listed."""
    return [node["const"]] if "const" in node else list(node.get("enum", ()))


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)
