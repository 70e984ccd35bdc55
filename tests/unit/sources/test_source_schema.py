"""The configuration's schema and the sources agree on what a source may be told."""

import copy
from pathlib import Path

import pytest
import yaml

from xtinct.errors import XtinctError
from xtinct.project import configuration
from xtinct.sources.fetching import KINDS
from xtinct.sources.folders import STRUCTURE_FILES
from xtinct.sources.mp import FILTERS

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = yaml.safe_load((ROOT / "config/config.schema.yaml").read_text())
SCHEMA = DOCUMENT["$defs"]
#: Patterns have kinds of the same names.
SOURCES = [
    one["$ref"].rpartition("/")[2]
    for one in DOCUMENT["properties"]["sources"]["additionalProperties"]["oneOf"]
]
#: Kind -> what the schema says of it.
DEFINITIONS = {SCHEMA[name]["properties"]["kind"]["const"]: SCHEMA[name] for name in SOURCES}

NETWORK = {"timeout": 60, "patience": 900, "backoff": [1, 60], "rate": 4, "parallel": 2}
SOURCES = {
    "mp": {
        "kind": "mp",
        "endpoint": "https://api.materialsproject.org",
        "cache": "data/cache",
        "filters": {"num_sites": [1, 40], "is_stable": True, "elements": ["O"]},
        "non_commercial": "exclude",
        "network": NETWORK,
    },
    "cod": {
        "kind": "cod",
        "server": "https://www.crystallography.net/cod",
        "cache": "data/cache",
        "query": {"el1": "Ti", "nel1": "C", "strictmax": 3, "vmax": 500.5},
        "exclude": [["C", "H"]],
        "network": NETWORK,
    },
    "mirror": {"kind": "cod-mirror", "path": "cod/cif", "exclude": [], "version": "2026-11-01"},
    "alexandria": {
        "kind": "optimade",
        "database": "https://alexandria.icams.rub.de/pbesol",
        "cache": "data/cache",
        "filter": 'elements HAS "O" AND nelements<4',
        "page_limit": 100,
        "network": NETWORK,
    },
}


def check(sources):
    whole = configuration.read_yaml(ROOT / "config/config.yaml")
    return configuration.check({**whole, "sources": sources})


@pytest.mark.parametrize("name", KINDS)
def test_same_keys(name):
    definition, kind = DEFINITIONS[name], KINDS[name]
    assert set(definition["properties"]) == {"kind", *kind.required, *kind.optional}
    assert {"kind", *definition.get("required", [])} == {"kind", *kind.required}


def test_same_filters():
    assert set(SCHEMA["Filters"]["properties"]) == set(FILTERS)


def test_examples_are_accepted():
    check(SOURCES)


@pytest.mark.parametrize(
    ("source", "change", "message"),
    [
        ("mp", {"key": "x" * 32}, r"unknown key sources\.mp\.key"),
        ("mp", {"filters": {"spacegroup": 3}}, "did you mean spacegroup_numbers"),
        ("mp", {"non_commercial": "yes"}, "one of exclude, include"),
        ("cod", {"query": {"format": "zip"}}, "'format' is not allowed"),
        ("cod", {"network": {**NETWORK, "parallel": 100}}, r"sources\.cod\.network\.parallel = 100"),
        ("mirror", {"exclude": ["C"]}, r"sources\.mirror\.exclude\.0"),
        ("mirror", {"exclude": [["C", "h"]]}, r"sources\.mirror\.exclude\.0\.1: 'h' is not allowed"),
        ("alexandria", {"page_limit": 0}, r"page_limit = 0: must be at least 1"),
    ],
)
def test_mistakes_are_named(source, change, message):
    sources = copy.deepcopy(SOURCES)
    sources[source].update(change)
    with pytest.raises(XtinctError, match=message):
        check(sources)


def test_the_key_tells_which_files_are_taken_without_it():
    told = DEFINITIONS["files"]["properties"]["pattern"]["description"].lower()
    assert [name for name in STRUCTURE_FILES.split("|") if name not in told] == []
