"""The models as a JSON Schema, and the ways through it."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from xtinct.project.keys.declaring import IMPORT_PATH, tag_content
from xtinct.project.keys.every_key import Configuration

Node = Mapping[str, Any]

#: What a union's tag says -> the types that JSON Schema has for it.
_TYPES = {"number": ("number", "integer"), "text": ("string",), "list": ("array",), "mapping": ("object",)}


class _Strict(GenerateJsonSchema):
    """No titles, which repeat the names; no defaults, which one tool would see and the other not."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> dict[str, Any]:
        return self.generate_inner(schema["schema"])

    def model_schema(self, schema: core_schema.ModelSchema) -> dict[str, Any]:
        node = super().model_schema(schema)
        about = " ".join(node.get("description", "").split()).removesuffix(".")
        return {"description": about[:1].lower() + about[1:]} | {
            key: value for key, value in node.items() if key not in ("title", "description")
        }

    def dict_schema(self, schema: core_schema.DictSchema) -> dict[str, Any]:
        """Names are checked by `propertyNames`; pydantic's own way lets wrong ones pass."""
        node: dict[str, Any] = {"type": "object"}
        names = self.generate_inner(schema["keys_schema"])
        if names != {"type": "string"}:
            node["propertyNames"] = names
        node["additionalProperties"] = self.generate_inner(schema["values_schema"])
        if "min_length" in schema:
            node["minProperties"] = schema["min_length"]
        return node

    def sort(self, value: Any, parent_key: str | None = None) -> Any:
        """As the models have it, what is said of a key first."""
        if isinstance(value, list):
            return [self.sort(item) for item in value]
        if not isinstance(value, dict):
            return value
        named = parent_key in ("properties", "$defs")
        order = value if named else sorted(value, key=lambda key: key != "description")
        return {key: self.sort(value[key], None if named else key) for key in order}


@cache
def document() -> Node:
    """JSON Schema (draft 2020-12) of the whole configuration."""
    schema = Configuration.model_json_schema(schema_generator=_Strict)
    definitions = dict(sorted(schema.pop("$defs").items()))
    return {"$schema": _Strict.schema_dialect, **schema, "$defs": definitions}


def resolved(node: Node) -> Node:
    """`node` with the definition that it refers to; what it says itself goes before."""
    if "$ref" not in node:
        return node
    definition = document()["$defs"][node["$ref"].rsplit("/", 1)[-1]]
    return {**resolved(definition), **{key: value for key, value in node.items() if key != "$ref"}}


def members(node: Node) -> list[Node]:
    """What a node may be: the members of a union, or itself alone."""
    return [resolved(member) for member in node["oneOf"]] if "oneOf" in node else [node]


def kind_of(node: Node) -> str | None:
    """The `kind` that tells a member of a union apart, if that does."""
    kind = node.get("properties", {}).get("kind", {})
    return kind.get("const") or (IMPORT_PATH if "pattern" in kind else None)


def below(node: Node, part: str | int) -> Node:
    """The node of a key, of an item, or of the member of a union that a tag names; {} if there is none."""
    tag = tag_content(part)
    if tag is not None:
        found = (m for m in members(node) if kind_of(m) == tag or m.get("type") in _TYPES.get(tag, ()))
        found = next(found, {})
        return {**found, "description": node.get("description", found.get("description", ""))}
    if isinstance(part, int):
        return resolved(node.get("items", {}))
    keys, other = node.get("properties", {}), node.get("additionalProperties") or {}
    return resolved(keys.get(part, other))
