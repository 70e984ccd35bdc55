"""`xtinct index`: a pattern of a file, its cell and classes, and what is said where there are none."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

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
    assert answer["cell"] == pytest.approx(CELL, rel=1e-5)
    assert answer["classes"][0][1] == SYMBOL
    assert {group for group, _ in answer["groups"][:3]} == {102, 118, 136}
    # Bragg's law and the quadratic form of the published cell, line by line.
    for line in answer["lines"]:
        h, k, l = line["hkl"]  # noqa: E741
        d = ((h * h + k * k) / CELL[0] ** 2 + l * l / CELL[2] ** 2) ** -0.5
        assert line["d"] == pytest.approx(d, rel=1e-5)
        bragg = 2 * d * np.sin(np.radians(line["two_theta"] / 2))
        assert bragg == pytest.approx(1.5406, rel=1e-5)
    # 0kl: k + l = 2n is the n glide of P42/mnm, and no line breaks it.
    assert answer["absences"]
    assert not any(line["seen"] for line in answer["absences"])
    assert all(min(line["hkl"][:2]) == 0 and sum(line["hkl"]) % 2 for line in answer["absences"])


def test_another_wavelength_scales_the_cell(rutile):
    done = run(rutile, "--wavelength", 2 * 1.5406, "--family", "tetragonal", "--json")
    assert json.loads(done.stdout)["cell"][:3] == pytest.approx([2 * x for x in CELL[:3]], rel=1e-5)


def test_the_table_shows_the_cell_and_what_decides(rutile):
    table = run(rutile, "--wavelength", 1.5406, "--family", "tetragonal").stdout
    assert "4.59370  4.59370  2.95870" in table
    assert "Lines that decide between" in table


def test_it_says_that_no_lattice_was_found(rutile):
    done = run(rutile, "--wavelength", 1.5406, "--family", "cubic")
    assert done.stdout.startswith("no lattice found: no cubic cell")
    assert done.exit_code == 0


def test_unsuitable_patterns_and_instruments_are_refused(rutile, tmp_path):
    def error(*arguments):
        result = run(*arguments)
        assert isinstance(result.exception, XtinctError)
        return str(result.exception)

    assert "no such file" in error("nothing.xy", "--wavelength", 1.5406)
    assert "two points a standard deviation" in error(rutile, "--wavelength", 1.5406, "--fwhm", 0.01)
    assert "crystal family" in error(rutile, "--wavelength", 1.5406, "--family", "rhombic")
    path = tmp_path / "uneven.xy"
    x = np.concatenate([np.arange(10, 40, 0.02), np.arange(40, 60, 0.05)])
    np.savetxt(path, np.stack([x, np.ones(len(x))], axis=1))
    assert "equidistant" in error(path, "--wavelength", 1.5406)
