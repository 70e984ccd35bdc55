"""Extinction classes: counts, and the equality of two independent definitions."""

import numpy as np
import pytest

from xtinct.errors import XtinctError
from xtinct.symmetry.absences import absent
from xtinct.symmetry.classes import SCOPES, class_symbol, extinction_classes, scope_groups
from xtinct.symmetry.families import FAMILIES, family_of
from xtinct.symmetry.reflection_conditions import box

# Unlabelled: 17, 31 and 9 are the classes of the seed paper's Table I and of its released models;
# 33 + 6 + 1 follow from ITA Table 3.1.4.1 by counting orbits of axis permutations.
COUNTS = {
    "cubic": 17,
    "tetragonal": 31,
    "trigonal-hexagonal": 9,
    "orthorhombic": 33,
    "monoclinic": 6,
    "triclinic": 1,
}


@pytest.mark.parametrize("family", FAMILIES)
def test_number_of_classes(family):
    assert len(extinction_classes(family)) == COUNTS[family]


def test_97_classes_over_all_groups():
    assert len(extinction_classes("all")) == sum(COUNTS.values()) == 97


def test_labelled_axes_split_only_orthorhombic_classes():
    assert len(extinction_classes("orthorhombic", "labelled")) == 44
    for family in set(FAMILIES) - {"orthorhombic"}:
        assert [c.members for c in extinction_classes(family, "labelled")] == [
            c.members for c in extinction_classes(family)
        ]


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("axes", ["unlabelled", "labelled"])
def test_classes_partition_the_groups(scope, axes):
    classes = extinction_classes(scope, axes)
    members = sorted(number for cls in classes for number in cls.members)
    assert members == list(scope_groups(scope))
    assert len({(cls.family, cls.symbol) for cls in classes}) == len(classes)


def test_labelled_classes_refine_unlabelled_ones_and_pooling_coarsens():
    for scope in SCOPES:
        coarse = [set(cls.members) for cls in extinction_classes(scope)]
        for cls in extinction_classes(scope, "labelled"):
            assert sum(set(cls.members) <= big for big in coarse) == 1
    ignored = [set(cls.members) for cls in extinction_classes("all-metric-ignored")]
    for cls in extinction_classes("all"):
        assert sum(set(cls.members) <= big for big in ignored) == 1
    for cls in extinction_classes("all-system-told"):
        assert any(set(cls.members) <= set(big.members) for big in extinction_classes("all"))


# Powder lines: reflections of equal d for every metric of the family have equal forms.
FORMS = {
    "cubic": lambda h, k, m: (h * h + k * k + m * m,),
    "tetragonal": lambda h, k, m: (h * h + k * k, m * m),
    "trigonal-hexagonal": lambda h, k, m: (h * h + h * k + k * k, m * m),
    "orthorhombic": lambda h, k, m: (h * h, k * k, m * m),
    "monoclinic": lambda h, k, m: (h * h, k * k, m * m, h * m),
    "triclinic": lambda h, k, m: (h * h, k * k, m * m, k * m, h * m, h * k),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_absent_powder_lines_give_the_same_classes_as_absent_reflections(family):
    """De Wolff's view of a powder: a line is absent when all reflections of equal d are."""
    hkl = box(8)
    forms = np.stack(np.broadcast_arrays(*FORMS[family](*hkl.T)), axis=1)
    inside = (hkl**2).sum(axis=1) <= 64  # forms complete within the box
    _, line = np.unique(forms[inside], axis=0, return_inverse=True)
    line = line.ravel()
    by_lines: dict[bytes, list[int]] = {}
    for number in scope_groups(family):
        present = np.zeros(line.max() + 1, dtype=bool)
        present[line[~absent(number, hkl[inside])]] = True
        by_lines.setdefault(present.tobytes(), []).append(number)
    labelled = {cls.members for cls in extinction_classes(family, "labelled")}
    assert {tuple(members) for members in by_lines.values()} == labelled


def test_enantiomorphic_pairs_are_never_told_apart():
    """The 11 enantiomorphic pairs of space groups (ITA 2016, Table 3.2.2.1) share their classes."""
    pairs = "76 78,91 95,92 96,144 145,151 153,152 154,169 170,171 172,178 179,180 181,212 213"
    for pair in pairs.split(","):
        first, second = map(int, pair.split())
        assert class_symbol(first) == class_symbol(second)


def test_class_symbol_is_that_of_the_family():
    for number in range(1, 231):
        symbols = {n: c.symbol for c in extinction_classes(family_of(number)) for n in c.members}
        assert class_symbol(number) == symbols[number]


@pytest.mark.parametrize("arguments", [("rhombic",), ("cubic", "sorted")])
def test_unknown_names_are_refused(arguments):
    with pytest.raises(XtinctError, match="expected one of"):
        extinction_classes(*arguments)


def test_a_space_group_names_its_class():
    """ITA table 3.1.4.1: Pnma and Pna21 share P n a -; all settings and spellings name the group."""
    (found,) = extinction_classes("Pnma")
    assert found.members == (33, 62)
    for name in ("P n m a", "pnma", "62", "Pbnm", "P b n m"):
        assert extinction_classes(name) == (found,)
    assert extinction_classes("P21/c")[0].members == (14,)
    assert 227 in extinction_classes("Fd-3m")[0].members
    names = {"Aem2": 39, "Aea2": 41, "C m c e": 64, "Cmme": 67, "Ccce": 68, "Fd3m": 227, "I a 3 d": 230}
    for name, number in names.items():
        assert number in extinction_classes(name)[0].members
    with pytest.raises(XtinctError, match=r"'Pxyz': expected one of cubic.*such as 62 or Pnma"):
        extinction_classes("Pxyz")
