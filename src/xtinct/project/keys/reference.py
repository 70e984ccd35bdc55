"""The files that the models of the configuration make: the JSON Schema, and the table of keys.

`python -m xtinct.project.keys.reference` writes both into the checkout that this package is read from.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from xtinct.files.writing import write_bytes
from xtinct.project.keys.schema_document import Node, document, kind_of, members, resolved
from xtinct.project.keys.values_in_words import bounds, choices, length

SCHEMA = "src/xtinct/project/config.schema.yaml"
TABLE = "docs/configuration.md"
_COMMAND = "python -m xtinct.project.keys.reference"

_TYPES = {"string": "text", "boolean": "true or false", "integer": "whole number", "number": "number"}
_MANY = {"string": "texts", "integer": "whole numbers", "number": "numbers", "array": "lists"}

_HEAD = f"""# Keys of the configuration

<!-- Made by `{_COMMAND}` from the models in src/xtinct/project/keys. -->

Every key of a configuration, as `config/config.yaml`: what it may be and what it means. All must be there but
those marked *optional*. `<name>` is a name of your own: letters, digits, `_` and `-`, a letter first.
[`config/README.md`](../config/README.md) says how to use and change a configuration.
"""


def schema_text() -> str:
    """The JSON Schema, as the YAML file that editors read."""
    comment = f"# Made by `{_COMMAND}` from the models in src/xtinct/project/keys.\n"
    return comment + yaml.safe_dump(
        _plain(document()), sort_keys=False, width=110, allow_unicode=True, default_flow_style=False
    )


def table_text() -> str:
    """The page with every key: a section for each key of the top, a table for each kind."""
    whole = document()
    sections = [_section(key, resolved(node)) for key, node in whole["properties"].items()]
    return "\n".join([_HEAD, *sections])


def written(folder: str | Path) -> dict[Path, str]:
    """The files below `folder`, a checkout of the project, and what they hold."""
    return {Path(folder, SCHEMA): schema_text(), Path(folder, TABLE): table_text()}


def _plain(value: Any) -> Any:
    """Without shared objects, which YAML would write as anchors."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _section(key: str, node: Node) -> str:
    rows = list(_rows(node, ""))
    lines = [f"## `{key}`", "", f"{_sentence(node['description'])}{_single(node)}", ""]
    if rows:
        lines += ["| key | value | meaning |", "|---|---|---|"]
        lines += [f"| `{name}` | {value} | {about} |" for name, value, about in rows]
        lines.append("")
    return "\n".join(lines)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:].removesuffix('.')}."


def _single(node: Node) -> str:
    """What a key without keys of its own may be."""
    return "" if node.get("type") == "object" else f" Value: {_value(node)}."


def _rows(node: Node, prefix: str) -> Iterator[tuple[str, str, str]]:
    """(key, value, meaning) of every key below a node, at any depth."""
    for member in members(node):
        kind = kind_of(member)
        for key, below in member.get("properties", {}).items():
            below, name = resolved(below), f"{prefix}{key}"
            if key == "kind" and kind:
                follow = ", with the keys that follow" if len(member["properties"]) > 1 else ""
                yield name, f"**`{kind}`**{follow}", _cell(below["description"])
                continue
            optional = "" if key in member.get("required", ()) else " *(optional)*"
            yield name, _value(below) + optional, _cell(below.get("description", ""))
            yield from _rows(below, f"{name}.")
        if isinstance(member.get("additionalProperties"), dict):
            names = "<family>" if "enum" in member.get("propertyNames", {}) else "<name>"
            yield from _rows(resolved(member["additionalProperties"]), f"{prefix}{names}.")
        if member.get("type") == "array":
            yield from _rows(resolved(member["items"]), f"{prefix.removesuffix('.')}[].")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "\\<")


def _value(node: Node) -> str:
    """What a key may be, in a few words."""
    if "oneOf" in node:
        return "; or ".join(dict.fromkeys(_value(member) for member in members(node)))
    if not node.keys() - {"description"}:
        return "any value"
    listed = choices(node)
    if listed:
        return ", ".join(f"`{choice}`" for choice in listed)
    if node["type"] == "array":
        return _list(node)
    if node["type"] == "object":
        other = node.get("additionalProperties")
        of = f" of names to {_value(resolved(other))}" if isinstance(other, dict) else ""
        return f"mapping{of}" if not of.endswith("mapping") else "mapping of names to mappings"
    return ", ".join(filter(None, (_TYPES[node["type"]], bounds(node))))


def _list(node: Node) -> str:
    items, count = resolved(node["items"]), length(node)
    different = "different " if node.get("uniqueItems") else ""
    if choices(items):
        return f"list of {different}{_value(items)}"
    if items.get("type") == "object":
        return "list of mappings"
    size = f"{count} " if count.isdigit() else ""
    each = f", each {bounds(items)}" if bounds(items) else ""
    some = ", not empty" if node.get("minItems") == 1 else ""
    return f"list of {size}{different}{_MANY[items['type']]}{each}{some}"


def main() -> None:
    """Write the files into the checkout."""
    for path, text in written(Path(__file__).resolve().parents[4]).items():
        write_bytes(path, text.encode())


if __name__ == "__main__":
    main()
