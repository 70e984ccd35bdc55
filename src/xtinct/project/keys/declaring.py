"""What the sections of the configuration are declared with.

The models check and describe; nothing is filled in. A key is there or its absence is an error, but for
those of `optional_key`, whose absence has a meaning of its own.
"""

from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Discriminator, Field, GetCoreSchemaHandler, Tag, model_validator
from pydantic.json_schema import GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

Item = TypeVar("Item")


class StrictSection(BaseModel):
    """A mapping with these keys and no others, each of exactly its type."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)


class Changes(StrictSection):
    """A section of which any part may stand, but not nothing at all."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    @model_validator(mode="after")
    def _has_some(self) -> "Changes":
        if not self.model_fields_set:
            raise PydanticCustomError("empty_mapping", "empty")
        return self


def key(description: str, **constraints: Any) -> Any:
    """A key that must be there. `constraints`: those of pydantic's Field, as ge, gt, le, lt, alias."""
    return Field(description=description, **constraints)


def optional_key(description: str, **constraints: Any) -> Any:
    """A key that may be left out, which the description says the meaning of. None is no value for it."""
    return Field(default=None, description=description, **constraints)


class _NoRepeats:
    """Of a list: no two values are equal."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict:
        return {**handler(schema), "uniqueItems": True}

    @staticmethod
    def _check(values: list) -> list:
        if any(value in values[:i] for i, value in enumerate(values)):
            raise PydanticCustomError("repeated_values", "repeated")
        return values


#: A list without repeated values, which may be empty or not.
Distinct = Annotated[list[Item], _NoRepeats()]
Some = Annotated[list[Item], Field(min_length=1), _NoRepeats()]
#: A list of two, as a range or a position with its weight.
Pair = Annotated[list[Item], Field(min_length=2, max_length=2)]

Count = Annotated[int, Field(ge=1)]
#: A count whose scatter is told.
AtLeastTwo = Annotated[int, Field(ge=2)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
#: What numpy and torch take as a seed: a signed 64-bit number.
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
Name = Annotated[
    str,
    Field(pattern="^[A-Za-z][A-Za-z0-9_-]*$", description="letters, digits, _ and -; starts with a letter"),
]

#: Which member of a union an error is about. No key looks like this.
_TAG = "<{}>"
#: Tag of a section whose kind is an import path.
IMPORT_PATH = "import path"
_TYPE_TAGS = {float: "number", str: "text", list: "list", dict: "mapping"}


def tag_content(part: Any) -> str | None:
    """What a union's tag says in the place of an error; None if `part` is a key or a number."""
    return part[1:-1] if isinstance(part, str) and part.startswith("<") and part.endswith(">") else None


def _kind(value: Any) -> str | None:
    kind = value.get("kind") if isinstance(value, dict) else None
    return None if kind is None else _TAG.format(kind)


def by_kind(*models: type[StrictSection], by_path: type[StrictSection] | None = None) -> Any:
    """One of several sections, told apart by their `kind`; with a colon in it, `by_path`."""
    tagged = [
        Annotated[model, Tag(_TAG.format(get_args(model.model_fields["kind"].annotation)[0]))]
        for model in models
    ]
    if by_path is None:
        return Annotated[reduce(or_, tagged), Discriminator(_kind)]
    tagged.append(Annotated[by_path, Tag(_TAG.format(IMPORT_PATH))])
    return Annotated[reduce(or_, tagged), Discriminator(_kind_or_path)]


def _kind_or_path(value: Any) -> str | None:
    kind = _kind(value)
    return _TAG.format(IMPORT_PATH) if kind is not None and ":" in kind else kind


def _type(value: Any) -> str | None:
    if isinstance(value, bool):
        return None
    known = {int: float, **{kind: kind for kind in _TYPE_TAGS}}
    return next((_TAG.format(_TYPE_TAGS[b]) for a, b in known.items() if isinstance(value, a)), None)


def by_type(**members: Any) -> Any:
    """One of several types, told apart by what YAML reads: `number`, `text`, `list` or `mapping`."""
    tagged = [Annotated[member, Tag(_TAG.format(name))] for name, member in members.items()]
    return Annotated[reduce(or_, tagged), Discriminator(_type)]


def one_of(choices: Any) -> Any:
    """One of the texts that the library has in a tuple or as the keys of a mapping."""
    return Literal[tuple(choices)]
