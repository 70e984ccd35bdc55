"""Priors from tables: exact weights, frequencies of structures, and what is refused."""

from fractions import Fraction

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xtinct.ceiling.extinction import ceilings
from xtinct.ceiling.priors import occurrence, read_prior
from xtinct.errors import XtinctError


def test_weights_of_a_csv_file_are_exact(tmp_path):
    path = tmp_path / "prior.csv"
    path.write_text("spacegroup_number,weight\n1,0.1\n2,0.2\n")
    prior = read_prior(path)
    assert prior == {1: Fraction(1, 10), 2: Fraction(1, 5)}
    assert ceilings("triclinic", prior=prior, ks=[1]) == {1: Fraction(2, 3)}


def test_structures_count_once_each(tmp_path):
    path = tmp_path / "structures.parquet"
    pq.write_table(
        pa.table({"spacegroup_number": pa.array([225, 221, 225], pa.int16()), "cif": ["", "", ""]}), path
    )
    assert read_prior(path) == {221: 1, 225: 2}


@pytest.mark.parametrize(
    "text",
    [
        "number\n1\n",
        "spacegroup_number,weight\n231,1\n",
        "spacegroup_number,weight\n1,-1\n",
        "spacegroup_number,weight\n1,many\n",
        "spacegroup_number,weight\n1,0\n",
        "spacegroup_number\nP 1\n",
        "",
    ],
)
def test_tables_that_are_no_prior_are_refused(tmp_path, text):
    path = tmp_path / "prior.csv"
    path.write_text(text)
    with pytest.raises(XtinctError, match=r"prior\.csv"):
        read_prior(path)
    with pytest.raises(XtinctError, match="no such file; a prior is mp, uniform or a table"):
        read_prior("natural")


def test_all_groups_alike_is_a_prior_of_its_own_name():
    assert read_prior("uniform") == dict.fromkeys(range(1, 231), 1)


def test_occurrence_is_half_way_between_alike_and_the_frequencies():
    counts, half = read_prior("mp"), occurrence()
    assert set(half) == set(range(1, 231))
    assert half[14] ** 2 == pytest.approx(float(counts[14]) + 1)
    assert min(half.values()) >= 1
