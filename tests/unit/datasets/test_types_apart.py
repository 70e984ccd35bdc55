"""Structures of the types of measured patterns are left out, whatever of a type they share."""

import numpy as np
import pyarrow as pa
import pytest

from xtinct.datasets.merging import Identity, config_digest, merge_lines
from xtinct.datasets.types_apart import without_types, write_apart
from xtinct.errors import XtinctError
from xtinct.files.parquet import file_metadata, read_table, write_parquet
from xtinct.files.schema import LINES, MEASURED_PATTERNS, STRUCTURES

#: id -> formula, space group, axes, protostructure
KNOWN = {
    "halite": ("NaCl", 225, 5.64, "AB_cF8_225_a_b:Cl-Na"),
    "periclase": ("MgO", 225, 4.21, "AB_cF8_225_a_b:O-Mg"),  # its type
    "pyrite": ("FeS2", 205, 5.42, "A2B_cP12_205_c_a:S-Fe"),
    "high pressure": ("NaCl", 221, 3.4, "AB_cP2_221_a_b:Cl-Na"),  # its compound
    "caesium bromide": ("CsBr", 221, 4.29, "AB_cP2_221_a_b:Br-Cs"),  # isopointal to that alone
    "near": ("CaF2", 225, 5.46, "A2B_cF12_225_c_a:F-Ca"),  # axes 3 % off
    "fluorite": ("ZrO2", 225, 5.1, "A2B_cF12_225_c_a:O-Zr"),  # isopointal to what is near
    "far": ("PbS2", 198, 5.94, None),
}


def structures(path):
    columns = {
        "structure_id": list(KNOWN),
        "formula": [formula for formula, *_ in KNOWN.values()],
        "spacegroup_number": [number for _, number, *_ in KNOWN.values()],
        **{name: [axis for _, _, axis, _ in KNOWN.values()] for name in ("a", "b", "c")},
        "protostructure": [label for *_, label in KNOWN.values()],
    }
    return write(path, STRUCTURES, columns, len(KNOWN))


def measured(path, *labels):
    columns = {
        "pattern_id": [f"p{i}" for i in range(len(labels))],
        "formula": [formula for formula, *_ in labels],
        "spacegroup_number": [number for _, number, _ in labels],
        **{name: [axis for *_, axis in labels] for name in ("a", "b", "c")},
    }
    return write(path, MEASURED_PATTERNS, columns, len(labels))


def write(path, schema, columns, n):
    """A table with these columns; zeros, empty texts and lists in the others."""
    empty = {pa.types.is_string: "", pa.types.is_list: [], pa.types.is_boolean: False}
    fields = []
    for field in schema:
        filler = next((value for test, value in empty.items() if test(field.type)), 0)
        fields.append(pa.array(columns.get(field.name, [filler] * n), field.type))
    write_parquet(path, [pa.table(fields, schema=schema)], schema)
    return path


@pytest.mark.parametrize(
    ("label", "kept"),
    [
        (("NaCl", 225, 5.64), ["pyrite", "caesium bromide", "far"]),
        (("NaClH", 198, None), ["periclase", "pyrite", "caesium bromide", "near", "fluorite", "far"]),
        (("", 198, 6.0), [name for name in KNOWN if name != "far"]),
        (("FeS2", None, None), [name for name in KNOWN if name != "pyrite"]),
        (("Fe2+S-2", None, None), [name for name in KNOWN if name != "pyrite"]),
        (("unknown", None, None), list(KNOWN)),
    ],
)
def test_what_shares_composition_type_or_cell_is_left_out(tmp_path, label, kept):
    known = structures(tmp_path / "structures.parquet")
    assert without_types(known, [measured(tmp_path / "set.parquet", label)]).tolist() == kept


def test_every_set_counts_and_one_at_least_is_needed(tmp_path):
    known = structures(tmp_path / "structures.parquet")
    sets = [
        measured(tmp_path / "one.parquet", ("FeS2", 205, 5.42)),
        measured(tmp_path / "two.parquet", ("PbS2", 198, 5.94), ("CsBr", 221, np.nan)),
    ]
    assert without_types(known, sets).tolist() == ["halite", "periclase", "near", "fluorite"]
    with pytest.raises(XtinctError, match="no set of measured patterns"):
        without_types(known, [])
    with pytest.raises(XtinctError, match=r"two\.parquet"):
        without_types(sets[1], sets)


def test_what_is_left_says_what_it_follows_from(tmp_path):
    """As the line lists that it is of, and the sets whose types are left out."""
    names = sorted(KNOWN)
    columns = {"sample_id": [f"cddd-{name}" for name in names], "origin": names}
    shard = write(tmp_path / "shard.parquet", LINES, columns, len(names))
    lines = tmp_path / "lines.parquet"
    merge_lines([shard], lines, Identity("cddd", 3, {"split": "random"}))
    known = structures(tmp_path / "structures.parquet")
    sets = [measured(tmp_path / "scans.parquet", ("NaCl", 225, 5.64))]
    assert write_apart(lines, known, sets, tmp_path / "apart.parquet") == (8, 3)
    left = read_table(tmp_path / "apart.parquet")
    assert left["origin"].to_pylist() == ["caesium bromide", "far", "pyrite"]
    stored, of = file_metadata(tmp_path / "apart.parquet"), file_metadata(lines)
    assert stored.keys() == of.keys()
    assert stored["config"] == {"split": "random", "types_left_out": ["scans"]}
    assert stored["config_digest"] == config_digest(stored["config"])
    assert (stored["dataset"], stored["seed"], stored["rows"]) == ("cddd", 3, 3)
    assert left.schema.field("d_star").metadata == LINES.field("d_star").metadata
