"""The explorer's lines against textbook facts; no expectation comes from the code under test."""

import numpy as np
import pytest

from xtinct.report.sections.explorer import _Lines, _rivals, _settings, explorer_data
from xtinct.symmetry.classes import extinction_classes
from xtinct.symmetry.families import FAMILIES


@pytest.fixture(scope="module")
def data() -> dict:
    classes = [
        {"family": family, "symbol": c.symbol, "members": list(c.members)}
        for family in FAMILIES
        for c in extinction_classes(family)
    ]
    return explorer_data(classes, {}, 1.5406, 1)


@pytest.mark.parametrize(
    ("group", "lines"),
    [
        (221, ["100", "110", "111", "200", "210", "211"]),  # simple cubic: every h2+k2+l2 but 7
        (229, ["110", "200", "211", "220", "310", "222"]),  # body-centred: h+k+l even
        (225, ["111", "200", "220", "311", "222", "400"]),  # face-centred: unmixed
        (
            227,
            ["111", "220", "311", "222", "400", "331"],
        ),  # F d -3 m: 200 absent; 222, of silicon too, is not
    ],
)
def test_first_lines_of_the_cubic_lattices(data, group, lines):
    """Cullity, Elements of X-ray Diffraction: lines of the cubic lattices; ITA for F d -3 m, 0kl: k+l=4n."""
    cubic = data["families"]["cubic"]
    shown = [
        line[0]
        for line, present in zip(cubic["lines"], cubic["present"][str(group)], strict=True)
        if present == "1"
    ]
    assert shown[:6] == lines


def test_two_theta_is_braggs(data):
    """Bragg: 2 d sin(theta) = wavelength, d(100) = 7.31 angstrom of the example cell."""
    label, two_theta, _ = data["families"]["cubic"]["lines"][0]
    assert label == "100"
    assert 2 * 7.31 * np.sin(np.radians(two_theta / 2)) == pytest.approx(1.5406, abs=1e-4)


def test_lines_that_share_a_position_carry_all_their_indices(data):
    """Cubic 300 and 221 have h2 + k2 + l2 = 9; 511 and 333 have 27."""
    labels = [line[0] for line in data["families"]["cubic"]["lines"]]
    assert "300/221" in labels
    assert "511/333" in labels
    hexagonal = [line[0] for line in data["families"]["trigonal-hexagonal"]["lines"]]
    assert {"100", "002", "110", "101"} <= set(hexagonal)
    assert not any("−" in label for label in hexagonal)


def rival(data, family, mine, other):
    classes = data["families"][family]["classes"]
    symbols = [c["symbol"] for c in classes]
    entries = data["families"][family]["rivals"][symbols.index(mine)]
    return next(entry for entry in entries if entry[0] == symbols.index(other))


def test_a_screw_axis_hangs_on_few_lines(data):
    """F 41 against F: of the first lines only 200 decides (600 coincides with 442)."""
    _, count, only_mine, only_other = rival(data, "cubic", "F - - -", "F 41 - -")
    assert (count, only_mine, only_other) == (1, ["200"], [])


@pytest.mark.parametrize("family", list(FAMILIES))
def test_every_two_classes_have_a_deciding_line(data, family):
    """97 classes are distinct; none may look alike on the example lattice."""
    content = data["families"][family]
    assert sum(len(entries) for entries in content["rivals"]) == len(content["classes"]) * (
        len(content["classes"]) - 1
    )
    assert all(entry[1] > 0 and (entry[2] or entry[3]) for entries in content["rivals"] for entry in entries)


@pytest.mark.parametrize("family", ["orthorhombic", "monoclinic", "tetragonal"])
def test_members_of_a_class_have_no_deciding_line(family):
    """Unlabelled axes: members may need other axes, but then every line agrees."""
    lines = _Lines(family)
    for cls in extinction_classes(family):
        if len(cls.members) > 1:
            single = [{"symbol": str(g), "members": [g]} for g in cls.members[:4]]
            assert all(
                entry[1] == 0 for entries in _rivals(lines, single, _settings(family)) for entry in entries
            )
