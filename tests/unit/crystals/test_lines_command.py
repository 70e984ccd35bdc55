"""`xtinct lines` as it is typed."""

import csv
import io
import json

import pytest
from click.testing import CliRunner
from rock_salt import ROCK_SALT

from xtinct.cli import cli
from xtinct.errors import XtinctError


@pytest.fixture
def salt(tmp_path):
    (tmp_path / "salt.cif").write_text(ROCK_SALT)
    return str(tmp_path / "salt.cif")


def printed(*arguments):
    done = CliRunner().invoke(cli, ["lines", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_table_names_group_cell_and_lines(salt):
    text = printed(salt)
    assert "F m -3 m (225), as stated" in text
    assert "1.54059 angstrom" in text
    rows = [line.split() for line in text.splitlines()[5:]]
    assert rows[1][:2] == ["200", "6"]
    assert rows[1][2:4] == ["2.82010", "31.7030"]
    assert rows[1][-1] == "100.00"
    assert len(rows) == 9


def test_csv_json_and_neutrons(salt):
    rows = list(csv.DictReader(io.StringIO(printed(salt, "--csv", "--range", "20", "50"))))
    assert [row["hkl"] for row in rows] == ["1 1 1", "2 0 0", "2 2 0"]
    answer = json.loads(printed(salt, "--json", "--neutron", "--wavelength", "1.8", "--as-written"))
    assert answer["radiation"] == "neutron"
    assert answer["wavelength"] == 1.8
    # b(Cl) - b(Na), fm (Sears 1992).
    assert answer["lines"][0]["f_squared"] == pytest.approx(16 * (9.577 - 3.63) ** 2)


@pytest.mark.parametrize("kind", ["svg", "png", "html"])
def test_a_picture_is_written(salt, tmp_path, kind):
    printed(salt, "--plot", str(tmp_path / f"salt.{kind}"))
    assert (tmp_path / f"salt.{kind}").stat().st_size > 5000


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        ("no crystal", [], "salt.cif: unreadable"),
        (ROCK_SALT.replace("Cl 0.5 0.5 0.5", "Cl 0.01 0 0"), [], "salt.cif: atoms_too_close"),
        (
            ROCK_SALT.replace("loop_", "_chemical_formula_sum 'Na3 Cl'\nloop_"),
            [],
            r"salt.cif: contradiction: .* stated .*; mend the file, or take formula, Z and density out of it",
        ),
        (ROCK_SALT, ["--csv", "--json"], "exclude each other"),
        (ROCK_SALT, ["--wavelength", "0.154"], "did you mean"),
        (ROCK_SALT, ["--plot", "salt.pdf"], "a picture is written as"),
        (ROCK_SALT, ["--range", "5", "10"], "none between 5 and 10 degrees"),
    ],
)
def test_what_is_wrong_is_one_line(salt, tmp_path, text, arguments, said):
    (tmp_path / "salt.cif").write_text(text)
    with pytest.raises(XtinctError, match=said) as refused:
        CliRunner().invoke(cli, ["lines", salt, *arguments], catch_exceptions=False)
    assert "\n" not in str(refused.value)
