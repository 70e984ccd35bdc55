import itertools

import numpy as np
import pytest

from xtinct.datasets.splits import STRUCTURE_KINDS, rare_groups, split_of, structure_keys, structure_parts
from xtinct.errors import XtinctError
from xtinct.files.schema import STRUCTURE_SPLITS

FRACTIONS = {"train": 0.8, "validation": 0.1, "test": 0.1}


def test_shares_are_met_within_the_binomial_error():
    parts = np.array(split_of([f"key-{i}" for i in range(20000)], FRACTIONS, seed=3))
    for part, share in FRACTIONS.items():
        error = np.sqrt(share * (1 - share) / len(parts))
        assert abs(np.mean(parts == part) - share) < 4 * error


def test_part_depends_on_the_key_alone():
    keys = [f"key-{i % 700}" for i in range(2000)]
    parts = dict(zip(keys, split_of(keys, FRACTIONS, seed=1), strict=True))
    shuffled = list(reversed(keys[300:900]))
    assert split_of(shuffled, FRACTIONS, seed=1) == [parts[key] for key in shuffled]


def test_another_seed_gives_another_split():
    keys = [f"key-{i}" for i in range(1000)]
    same = np.mean(np.array(split_of(keys, FRACTIONS, 1)) == np.array(split_of(keys, FRACTIONS, 2)))
    # Independent draws agree with probability 0.8^2 + 0.1^2 + 0.1^2 = 0.66.
    assert 0.6 < same < 0.72


def test_growing_the_test_part_never_moves_a_test_sample_out():
    keys = [f"key-{i}" for i in range(2000)]
    small = split_of(keys, FRACTIONS, 5)
    large = split_of(keys, {"train": 0.7, "validation": 0.1, "test": 0.2}, 5)
    assert all(new == "test" for old, new in zip(small, large, strict=True) if old == "test")


@pytest.mark.parametrize(
    ("fractions", "named"),
    [
        ({"train": 0.8, "test": 0.1}, "sum to 0.9"),
        ({"train": 1.2, "test": -0.2}, "test"),
        ({"train": 0.9, "holdout": 0.1}, "holdout"),
        ({"train": float("nan"), "test": 1.0}, "train"),
    ],
)
def test_wrong_fractions_are_named(fractions, named):
    with pytest.raises(XtinctError, match=named):
        split_of(["a"], fractions, 0)


# Rock salt twice (one formula from two sources), its isotype MgO, zinc blende, and two unlabelled.
STRUCTURES = [
    {"structure_id": name, "source": name.split(":")[0], "formula": formula, "protostructure": label}
    for name, formula, label in (
        ("mp:1", "NaCl", "AB_cF8_225_a_b:Cl-Na"),
        ("cod:1", "NaCl", "AB_cF8_225_a_b:Cl-Na"),
        ("mp:2", "MgO", "AB_cF8_225_a_b:Mg-O"),
        ("mp:3", "ZnS", "AB_cF8_216_a_c:S-Zn"),
        ("mp:4", "ZnS", None),
        ("mp:5", "ZnS", None),
    )
]


@pytest.mark.parametrize(
    ("kind", "groups"),
    [
        ("random", [0, 1, 2, 3, 4, 5]),
        ("formula", [0, 0, 2, 3, 3, 3]),
        ("protostructure", [0, 0, 0, 3, 4, 5]),
        ("source", [0, 1, 0, 0, 0, 0]),
    ],
)
def test_structure_groups(kind, groups):
    keys = structure_keys(kind, STRUCTURES)
    assert [keys.index(key) for key in keys] == groups


def test_isotypes_share_a_group_whatever_their_elements_are_called():
    # TiO2 and CrO2, both rutile: the labels list oxygen first and last.
    first, second = structure_keys(
        "protostructure",
        [
            {"structure_id": "a:1", "protostructure": "A2B_tP6_136_f_a:O-Ti"},
            {"structure_id": "a:2", "protostructure": "AB2_tP6_136_a_f:Cr-O"},
        ],
    )
    assert first == second


@pytest.mark.parametrize("kind", ["formula", "protostructure", "source"])
def test_no_group_crosses_a_split(kind):
    many = [
        {
            **row,
            "formula": f"{row['formula']}{i}",
            "protostructure": (row["protostructure"] or "").replace("AB_", f"AB{i + 2}_"),
        }
        for i in range(200)
        for row in STRUCTURES
    ]
    keys = structure_keys(kind, many)
    parts = split_of(keys, FRACTIONS, 11)
    of_key = {}
    for key, part in zip(keys, parts, strict=True):
        assert of_key.setdefault(key, part) == part
    if kind != "source":
        assert set(parts) == set(FRACTIONS)


def test_unknown_split_is_named():
    with pytest.raises(XtinctError, match="crystal"):
        structure_keys("crystal", STRUCTURES)


def test_every_kind_is_a_column_of_the_table_of_splits():
    assert set(STRUCTURE_KINDS) <= set(STRUCTURE_SPLITS.names)


def test_contiguous_parts_are_the_first_share_the_next_and_the_rest():
    """As many rows as the shares say, whatever the seed, and the same in any pieces."""
    rows = [{"structure_id": f"a:{i}"} for i in range(200)]
    fractions = {"train": 0.7, "validation": 0.1, "test": 0.2}
    parts = structure_parts("contiguous", rows, range(200), total=200, fractions=fractions, seed=1)
    assert parts == ["train"] * 140 + ["validation"] * 20 + ["test"] * 40
    pieces = [
        structure_parts("contiguous", rows[a:b], range(a, b), total=200, fractions=fractions, seed=5)
        for a, b in ((0, 139), (139, 150), (150, 200))
    ]
    assert list(itertools.chain(*pieces)) == parts


def test_a_group_is_rare_by_its_training_part_alone():
    structures = [(1, "train"), (1, "test"), (2, "test"), (2, "test"), (3, "train"), (3, "train")]
    assert rare_groups(structures, 2) == {1: 1, 2: 0}
    assert rare_groups(structures, 0) == {}
