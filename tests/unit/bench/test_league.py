"""The scoring of the indexing league, by lattices and lists whose relations are known."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

_FOLDER = Path(__file__).resolve().parents[3] / "benchmarks" / "indexing"


def _script(name):
    spec = importlib.util.spec_from_file_location(f"league_{name}", _FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def score():
    return _script("score")


@pytest.fixture(scope="module")
def engines():
    sys.path.insert(0, str(_FOLDER))
    return _script("engines")


def lines(a: float, forms, wavelength: float = 1.5406) -> list[float]:
    """2theta of cubic lines h^2 + k^2 + l^2, rounded as lists are."""
    sine = wavelength / (2 * a) * np.sqrt(np.array(forms, dtype=float))
    return np.round(2 * np.degrees(np.arcsin(sine)), 4).tolist()


def listed(a: float, forms, centring: str) -> dict:
    two_theta = lines(a, forms)
    return {
        "name": "x",
        "wavelength": 1.5406,
        "two_theta": two_theta,
        "intensity": [1.0] * len(two_theta),
        "family": "cubic",
        "cell": [a, a, a, 90.0, 90.0, 90.0],
        "centring": centring,
    }


def test_a_lattice_is_itself_in_every_description(score):
    """Body-centred cubic: conventional, rhombohedral primitive at 109.47 degrees, hexagonal triple cell."""
    a = 4.0
    edge, angle = a * np.sqrt(3) / 2, np.degrees(np.arccos(-1 / 3))
    forms = [([a] * 3 + [90] * 3, "I"), ([edge] * 3 + [angle] * 3, "P")]
    forms.append(([a * np.sqrt(2), a * np.sqrt(2), edge, 90, 90, 120], "R"))
    first, *others = [score.reduced(cell, centring) for cell, centring in forms]
    for other in others:
        assert score.same(first, other, score.CLOSE)
    assert not score.same(first, score.reduced([4.25] * 3 + [90] * 3, "I"), score.LEAGUE)
    assert score.same(first, score.reduced([4.1] * 3 + [90] * 3, "I"), score.LEAGUE)
    assert not score.same(first, score.reduced([4.1] * 3 + [90] * 3, "I"), score.CLOSE)


def test_lattices_have_as_many_sublattices_as_theory_counts(score):
    """7, 13 and 35 of index 2, 3 and 4 (Cassels 1959)."""
    lattice = score.reduced([5.0, 6.1, 7.3, 81.0, 95.0, 103.0], "P")
    volumes = [round(x.volume / lattice.volume) for x in score.superlattices(lattice)]
    assert [volumes.count(index) for index in (2, 3, 4)] == [7, 13, 35]


def test_primitive_and_centred_cubic_lattices_are_related(score):
    primitive, body, face = (score.reduced([4.0] * 3 + [90] * 3, x) for x in "PIF")
    assert score.related(primitive, body)
    assert score.related(face, primitive)
    assert not score.related(primitive, score.reduced([4.7] * 3 + [90] * 3, "P"))


def test_lines_of_a_subcell_alone_hide_the_true_lattice(score):
    """A Heusler alloy's fundamental lines are those of half its axis, body-centred: h^2 + k^2 + l^2 = 8 n."""
    fundamental = listed(6.0, [8, 16, 24, 32, 40], "F")
    truth = score.reduced(fundamental["cell"], "F")
    assert score.hidden(fundamental, truth, None)
    complete = listed(6.0, [3, 4, 8, 11, 16, 24, 32, 40], "F")
    assert not score.hidden(complete, truth, None)


def test_every_failure_has_its_reason(score):
    one = listed(6.0, [3, 4, 8, 11, 12, 16], "F")
    true, other = [[6.0] * 3 + [90.0] * 3, "F"], [[5.0, 6.0, 8.1, 90.0, 90.0, 90.0], "P"]
    half = [[3.0] * 3 + [90.0] * 3, "F"]

    def reason(*lattices, error=None, engine="mcmaille", **changes):
        answer = {"lattices": list(lattices), "seconds": 1.0, "error": error}
        return score.judged(engine, {**one, **changes}, answer)

    assert reason(true, other) == (1, True, "")
    assert reason(other, true) == (2, True, "outscored")
    assert reason(other)[2] == "never tried"
    assert reason()[2] == "no answer"
    assert reason(error="out of time")[2] == "out of time"
    assert reason([[6.0] * 3 + [90.0] * 3, "P"])[2] == "related"
    assert reason(half)[2] == "never tried"  # an index of 8 is another lattice
    assert reason(other, two_theta=one["two_theta"][:2])[2] == "too few lines"
    assert reason(other, family="triclinic")[2] == "outside limits"


def test_mcmaille_s_file_is_read_in_its_order(engines):
    text = """
     FINAL LIST OF CELL PROPOSALS, sorted by McM20 :

20  257.25    378.243  1.00      3.4204  10.0272  11.0283  90.000  90.000  90.000    P  Ortho ***
20   75.07    358.049  0.95     10.0275  11.0284   3.2377  90.000  90.000  90.000    P  Ortho ***
 FINAL LIST OF CELL PROPOSALS, sorted by F(20) :
20  999.00    111.000  1.00      1.0000   1.0000   1.0000  90.000  90.000  90.000    P  Ortho ***
   It is suggested that the correct cell could be :
IN  F.o.M.    Volume             a        b        c       alpha   beta    gamma   Bravais lattice
20 1029.24   1078.173           10.2541  10.2541  10.2541  90.000  90.000  90.000    I  Cubic *****
"""
    assert [cell[0] for cell, _ in engines.read_mcmaille(text)] == [10.2541, 3.4204, 10.0275]
    assert engines.read_mcmaille(text)[0][1] == "I"


@pytest.mark.parametrize(
    ("kind", "length", "shift", "scatter"),
    [
        ("zero", 40, 0.30, 0.0),
        ("noise", 40, 0.15, 0.30),
        ("missing", 36, 0.0, 0.0),
        ("foreign", 42, 0.0, 0.0),
        ("all", 38, 0.45, 0.30),
    ],
)
def test_perturbed_lists_keep_within_what_they_are_told(kind, length, shift, scatter):
    lists = _script("lists")
    angle, height = np.linspace(10, 80, 40), np.linspace(1, 100, 40)
    seen = []
    for seed in range(50):
        two_theta, heights = lists.perturbed(angle, height, kind, np.random.default_rng(seed))
        assert len(two_theta) == len(heights) == length
        own = two_theta[:-2] if kind in ("foreign", "all") else two_theta
        moved = own - angle[np.abs(own[:, None] - angle).argmin(axis=1)]
        assert np.abs(moved).max() <= shift + 1e-9
        assert np.ptp(moved) <= scatter + 1e-9
        seen.append(np.abs(moved).max())
    assert max(seen) >= 0.8 * shift
