"""What is wrong with a configuration, one line for each mistake: key, value, and what is allowed."""

import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any

import yaml
from pydantic import ValidationError

from xtinct.project.keys.declaring import tag_content
from xtinct.project.keys.every_key import Configuration
from xtinct.project.keys.schema_document import Node, below, document, kind_of, members
from xtinct.project.keys.values_in_words import TYPES, bounds, choices, length

#: Keys that do not exist but are asked for: dotted path, with * for a free name -> what to write instead.
INSTEAD = {
    "systems": "write families; trigonal and hexagonal share a metric and are one family",
    "train.lr": "write train.learning_rate",
    "train.wd": "write train.weight_decay",
    "train.epochs": "training never repeats a pattern; set experiments.<name>.patterns",
    "train.patterns": "the budget belongs to an experiment; set experiments.<name>.patterns",
    "train.seed": "set experiments.<name>.seeds",
    "instrument.sigma": "write instrument.fwhm, which is 2.3548 sigma",
    "instrument.radiation": "write lines.radiation; it decides the structure factors",
    "fetch": "write sources (where structures come from) and cleaning (what is done to them)",
    "ulbd.mesh": "write ulbd.lattices.<family>",
    "experiments.*.seed": "write experiments.<name>.seeds, a list",
    "experiments.*.test": "write experiments.<name>.tests, a list",
    "experiments.*.epochs": "training never repeats a pattern; set experiments.<name>.patterns",
}

#: Pydantic's name of an error -> the type that was expected, as JSON Schema calls it.
_EXPECTED = {
    "int_type": "integer",
    "int_from_float": "integer",
    "float_type": "number",
    "string_type": "string",
    "bool_type": "boolean",
    "list_type": "array",
    "dict_type": "object",
    "model_type": "object",
    "model_attributes_type": "object",
}
_BOUNDED = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")
#: Of pydantic's place of an error: it is about the name of the key before, not about its value.
_NAME = "[key]"


def refusals(config: Mapping[str, Any]) -> list[str]:
    """Each mistake that is one whatever the other keys say, in one line; [] if there is none."""
    try:
        Configuration.model_validate(config)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
    else:
        return []
    names = {mistake["loc"][:-1] for mistake in found if mistake["loc"][-1:] == (_NAME,)}
    # What stands below a wrong name was never asked for. A misspelt key is at once unknown and
    # missing: the unknown one is the one to show.
    found = [m for m in found if m["loc"][-1] == _NAME or not _is_below(m["loc"], names)]
    found.sort(key=lambda mistake: mistake["type"] != "extra_forbidden" and mistake["loc"][-1] != _NAME)
    return [_explain(mistake) for mistake in found]


def _is_below(place: tuple[str | int, ...], names: Iterable[tuple[str | int, ...]]) -> bool:
    return any(place[: len(name)] == name for name in names)


def _explain(mistake: Mapping[str, Any]) -> str:
    *parents, last = mistake["loc"]
    if last == _NAME:
        *parents, last = parents
    node: Node = document()
    for part in parents:
        node = below(node, part)
    path = _dotted(parents)
    if mistake["loc"][-1] == _NAME:
        return _wrong_name(path, last, node)
    if mistake["type"] == "extra_forbidden":
        return _unknown_key(path, last, list(node["properties"]))
    full, node = _dotted([*parents, last]), below(node, last)
    if mistake["type"] == "missing":
        return _missing_key(full, node)
    return _wrong_value(full, mistake, node)


def _dotted(place: Iterable[str | int]) -> str:
    return ".".join(str(part) for part in place if tag_content(part) is None)


def _wrong_name(path: str, name: str, node: Node) -> str:
    rule = node["propertyNames"]
    if "enum" in rule:
        return _unknown_key(path, name, rule["enum"])
    return f"{path}: {show(name)} is not allowed here; allowed: {rule.get('description', 'text')}"


def _unknown_key(path: str, key: str, known: list[str]) -> str:
    full = f"{path}.{key}" if path else key
    parts = full.split(".")
    for pattern, advice in INSTEAD.items():
        asked = pattern.split(".")
        if len(asked) == len(parts) and all(a in ("*", p) for a, p in zip(asked, parts, strict=True)):
            return f"unknown key {full}: {advice}"
    return f"unknown key {full}{did_you_mean(key, known) or '; allowed here: ' + ', '.join(known)}"


def _missing_key(full: str, node: Node) -> str:
    about = node.get("description", "")
    return f"key {full} is missing" + (f": {about}" if about else "")


def _wrong_value(path: str, mistake: Mapping[str, Any], node: Node) -> str:
    value, kind = mistake["input"], mistake["type"]
    if kind.startswith("union_tag"):
        return _no_member(path, value, node)
    hint = ""
    if kind in _EXPECTED:
        allowed, hint = TYPES[_EXPECTED[kind]], _number_hint(value, _EXPECTED[kind])
    elif kind == "literal_error":
        known = choices(node)
        if tag_content(mistake["loc"][-1]) is not None:  # text is one of several things that it may be
            return _not_allowed(path, value, node) + (
                _number_hint(value, "number") or did_you_mean(value, known)
            )
        allowed = "one of " + ", ".join(map(str, known)) + did_you_mean(value, known)
    elif kind == "string_pattern_mismatch":
        return _not_allowed(path, value, node)
    elif kind in _BOUNDED:
        allowed = bounds(node)
    elif kind == "finite_number":
        allowed = "a finite number"
    elif kind in ("too_short", "too_long") and isinstance(value, list):
        allowed = f"a list of {length(node)} values"
    elif kind in ("too_short", "empty_mapping"):
        allowed = "a mapping with at least one entry"
    elif kind == "repeated_values":
        allowed = "a list without repeated values"
    else:
        return f"{path} = {show(value)}: {' '.join(mistake['msg'].split())}"
    return f"{path} = {show(value)}: must be {allowed}{hint}"


def _not_allowed(path: str, value: Any, node: Node) -> str:
    allowed = node.get("description") or f"text like {node.get('pattern')}"
    return f"{path}: {show(value)} is not allowed here; allowed: {allowed}"


def _no_member(path: str, value: Any, node: Node) -> str:
    """`value` is of none of the kinds, or of none of the types, that a union has."""
    kinds = [kind_of(member) for member in members(node)]
    if None in kinds:
        types = " or ".join(dict.fromkeys(TYPES[member["type"]] for member in members(node)))
        hint = _number_hint(value, "number") if isinstance(value, str) else ""
        return f"{path} = {show(value)}: must be {types}{hint}"
    if not isinstance(value, dict):
        return f"{path} = {show(value)}: must be {TYPES['object']}"
    known = ", ".join(map(str, kinds))
    if "kind" not in value:
        about = [f"{kind_of(m)} ({m['properties']['kind']['description']})" for m in members(node)]
        return f"key {path}.kind is missing: one of {', '.join(about)}"
    given = value["kind"]
    return f"{path}.kind = {show(given)}: must be one of {known}{did_you_mean(given, kinds)}"


def show(value: Any) -> str:
    """A value as a message shows it: in one line, and not the whole of a long one."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def did_you_mean(value: Any, known: Iterable[Any]) -> str:
    """The question whether one of the `known` is meant, if `value` is close to it; else ""."""
    close = difflib.get_close_matches(str(value), [str(name) for name in known], n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def _number_hint(value: Any, expected: str) -> str:
    """How to write the number that was meant: 1e-3 is text to YAML 1.1, and 1.0e+5 is no whole number."""
    if isinstance(value, float) and expected == "integer" and value.is_integer():
        return f" (write {value:.0f})"
    if not isinstance(value, str) or expected not in ("number", "integer"):
        return ""
    try:
        number = float(value)
    except ValueError:
        return ""
    if not math.isfinite(number) or (expected == "integer" and not number.is_integer()):
        return ""
    written = value.strip()
    if isinstance(yaml.safe_load(written), str):
        written = f"{number:.0f}" if expected == "integer" else _scientific(number)
        return f" (YAML reads this as text; write {written})"
    return f" (this is text; write {written} without quotes)"


def _scientific(number: float) -> str:
    """With a point and a signed exponent, without which YAML 1.1 sees no number."""
    digits, exponent = f"{number:e}".split("e")
    whole, _, decimals = digits.partition(".")
    return f"{whole}.{decimals.rstrip('0') or '0'}e{exponent}"
