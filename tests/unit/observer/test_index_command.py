"""`xtinct index`: a pattern of a file, its cell and classes, and what is said where there are none."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from patterns import pattern, rock_salt

import xtinct
from xtinct.api import DEFAULT_INSTRUMENT
from xtinct.cli import cli
from xtinct.errors import XtinctError

#: Rutile (Wyckoff, Crystal Structures, 1963): a space group, its cell, and its class.
RUTILE, CELL, SYMBOL = 136, [4.5937, 4.5937, 2.9587, 90, 90, 90], "P - n -"


@pytest.fixture(scope="module")
def rutile(tmp_path_factory):
    """A file of a pattern of rutile."""
    path = tmp_path_factory.mktemp("index") / "rutile.xy"
    intensity = xtinct.ulbd_patterns(RUTILE, [CELL], 1, 0)[0].astype(float)
    columns = np.stack([DEFAULT_INSTRUMENT.two_theta, 5e3 * intensity], axis=1)
    np.savetxt(path, columns, fmt="%.9g", header="2theta intensity")
    return path


def run(*arguments):
    return CliRunner().invoke(cli, ["index", *map(str, arguments)])


def test_cell_lines_and_class_of_a_file(rutile):
    done = run(rutile, "--wavelength", 1.5406, "--family", "tetragonal", "--json")
    answer = json.loads(done.stdout)
    assert answer["lattices"][0]["cell"] == pytest.approx(CELL, rel=1e-5)
    assert answer["lattices"][0]["bravais"] == "tP"
    assert answer["classes"][0]["symbol"] == SYMBOL
    assert {group["number"] for group in answer["groups"][:3]} == {102, 118, 136}
    # Bragg's law and the quadratic form of the published cell, line by line.
    for line in answer["lines"]:
        h, k, l = line["hkl"]  # noqa: E741
        d = ((h * h + k * k) / CELL[0] ** 2 + l * l / CELL[2] ** 2) ** -0.5
        assert line["d"] == pytest.approx(d, rel=1e-5)
        bragg = 2 * d * np.sin(np.radians(line["two_theta"] / 2))
        assert bragg == pytest.approx(1.5406, rel=1e-5)
    # 0kl: k + l = 2n is the n glide of P42/mnm, and no line breaks it.
    deciding = next(iter(answer["deciding_lines"].values()))
    assert deciding
    for line in deciding:
        (hkl,) = line["hkl"]
        assert not line["allowed_by_best"]
        assert min(hkl[:2]) == 0
        assert sum(hkl) % 2


def test_another_wavelength_scales_the_cell(rutile):
    done = run(rutile, "--wavelength", 2 * 1.5406, "--family", "tetragonal", "--json")
    cell = json.loads(done.stdout)["lattices"][0]["cell"]
    assert cell[:3] == pytest.approx([2 * x for x in CELL[:3]], rel=1e-5)


def test_the_table_shows_cell_classes_and_what_decides(rutile, tmp_path):
    picture, cif = tmp_path / "rutile.svg", tmp_path / "rutile.cif"
    table = run(
        rutile, "--wavelength", 1.5406, "--family", "tetragonal", "--plot", picture, "--cif", cif
    ).stdout
    assert "4.5937" in table
    assert "P 42/m n m (136)" in table
    assert f"Lines that decide for {SYMBOL}" in table
    assert "<svg" in picture.read_text()
    assert "_cell_length_a" in cif.read_text()


def test_it_says_that_no_lattice_was_found(tmp_path):
    path = tmp_path / "glass.xy"
    x = np.arange(10, 70, 0.02)
    counts = np.random.default_rng(0).poisson(200 + 3000 * np.exp(-(((x - 22) / 5) ** 2)))
    np.savetxt(path, np.stack([x, counts], axis=1), fmt="%.2f %d")
    done = run(path, "--wavelength", "Cu")
    assert "No lattice was found" in done.stdout
    assert "glass has no lattice" in done.stdout
    assert done.exit_code == 0
    # What cannot be written does not cost the answer.
    done = run(path, "--wavelength", "Cu", "--cif", tmp_path / "glass.cif")
    assert "glass has no lattice" in done.stdout
    assert "nothing to write as CIF" in str(done.exception)
    # A picture of no known format is refused before anything is asked.
    done = run(path, "--wavelength", "Cu", "--plot", tmp_path / "glass.jpg")
    assert "a picture is written as .svg" in str(done.exception)
    assert not done.stdout


def test_what_cannot_be_read_is_refused_by_name(rutile, tmp_path):
    def error(*arguments):
        result = run(*arguments)
        assert isinstance(result.exception, XtinctError)
        return str(result.exception)

    assert "no such file" in error("nothing.xy", "--wavelength", 1.5406)
    assert "wavelength" in error(rutile)
    assert "crystal family" in error(rutile, "--wavelength", 1.5406, "--family", "rhombic")
    assert "--plot" in error(rutile, rutile, "--wavelength", 1.5406, "--plot", tmp_path / "two.svg")
    path = tmp_path / "constant.xy"
    np.savetxt(path, np.stack([np.arange(10, 40, 0.02), np.ones(1500)], axis=1))
    assert str(path) in error(path, "--wavelength", 1.5406)


def test_uneven_steps_are_read(tmp_path):
    x, counts = pattern(rock_salt())
    rows = (x < 40) | (np.arange(len(x)) % 2 == 0)
    path = tmp_path / "uneven.xy"
    np.savetxt(path, np.stack([x[rows], counts[rows]], axis=1), fmt="%.3f")
    answer = json.loads(run(path, "--wavelength", "Cu", "--json").stdout)
    assert answer["lattices"][0]["family"] == "cubic"
    assert any(abs(x["cell"][0] - 5.64) < 0.01 for x in answer["lattices"])


def test_a_list_that_cannot_be_indexed_costs_no_other_its_answer(tmp_path):
    bad, good = tmp_path / "bad.txt", tmp_path / "good.txt"
    bad.write_text("# d I\n3.256 10\n2.820 -1\n1.994 5\n")
    good.write_text("# d I\n3.256 10\n2.820 100\n1.994 55\n")
    result = run(bad, good, "--peaks", "--json")
    first, second = json.loads(result.stdout)
    assert first["error"].startswith(f"{bad}: intensities")
    assert second["lattices"]
    assert str(result.exception) == "1 of 2 patterns have no answer; each is named above"
