"""The benchmark of ideal patterns: lattices of its groups, and a law that is read without a mistake."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from xtinct.lattices.conventional import conventional_cell_errors
from xtinct.symmetry.families import family_of

_SCRIPT = Path(__file__).resolve().parents[3] / "benchmarks" / "observer" / "ideal.py"


@pytest.fixture(scope="module")
def ideal():
    spec = importlib.util.spec_from_file_location("ideal_patterns", _SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_group_is_on_a_lattice_of_its_own_that_its_family_has(ideal):
    groups = np.array([1, 14, 62, 62, 141, 167, 194, 225])
    drawn = ideal.drawn(groups, (3.0, 20.0), 5)
    assert [number for number, _ in drawn] == groups.tolist()
    for number, cell in drawn:
        assert conventional_cell_errors(family_of(number), cell[None]).max() < 1e-9
        assert 3 <= cell[:3].min() <= cell[:3].max() <= 20
    assert not np.allclose(drawn[2][1], drawn[3][1])
    again = ideal.drawn(groups, (3.0, 20.0), 6)
    assert not np.allclose(again[1][1], drawn[1][1])


def test_cubic_patterns_of_a_told_range_are_all_right(ideal, monkeypatch, capsys):
    command = ["ideal.py", "cubic", "--n", "12", "--lengths", "5", "15", "--told", "--seed", "3"]
    monkeypatch.setattr(sys, "argv", command)
    ideal.main()
    printed = capsys.readouterr().out
    assert re.search(r"^class +12 of 12, 1\.000", printed, re.MULTILINE)
    assert re.search(r"^cubic +class 12 of 12.*cell 12 of 12", printed, re.MULTILINE)
