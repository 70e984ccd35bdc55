"""The `xtinct` command: what it prints, and how it ends on bad input."""

import json
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner

from xtinct.ceiling.extinction import TARGETS
from xtinct.cli import cli
from xtinct.symmetry.classes import SCOPES
from xtinct.symmetry.families import FAMILIES


def xtinct(*arguments):
    """Run the command in a process of its own, as a user does."""
    command = [sys.executable, "-c", "from xtinct.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def output(*arguments):
    result = CliRunner().invoke(cli, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_classes_are_as_many_as_a_powder_tells_apart():
    """17 cubic, 31 tetragonal, 9 trigonal and hexagonal, 33 orthorhombic, 6 monoclinic, 1 triclinic."""
    rows = json.loads(output("classes", "--json"))
    counts = {}
    for row in rows:
        counts[row["family"]] = counts.get(row["family"], 0) + 1
    assert sorted(counts.values()) == [1, 6, 9, 17, 31, 33]
    assert sorted(number for row in rows for number in row["members"]) == list(range(1, 231))
    table = output("classes", "--family", "cubic").splitlines()
    assert len(table) == 2 + 17
    assert any(line.split()[-2:] == ["212", "213"] for line in table)


def test_ceilings_are_those_of_table_1_of_wang_et_al():
    """Their cubic top-3, 29/36, is truncated to 80.5 in print."""
    published = {
        "cubic": ["47.2", "72.2", "80.6", "88.9", "97.2"],
        "tetragonal": ["45.6", "70.6", "83.8", "88.2", "91.2"],
        "trigonal-hexagonal": ["17.3", "34.6", "48.1", "59.6", "69.2"],
    }
    rows = {line.split()[0]: line.split()[1:] for line in output("ceilings").splitlines()}
    for family, values in published.items():
        # Each value is followed by its fraction.
        assert [f"{float(value):.1f}" for value in rows[family][::2]] == values
    exact = json.loads(output("ceilings", "--family", "cubic", "--json"))
    assert (exact[0]["numerator"], exact[0]["denominator"]) == (17, 36)


def test_a_prior_weighs_the_groups(tmp_path):
    """A prior of one group leaves nothing to guess; of two in one class, nothing but to guess."""
    path = tmp_path / "prior.csv"
    path.write_text("spacegroup_number,weight\n225,3\n227,1\n")
    rows = json.loads(output("ceilings", "--family", "cubic", "--prior", path, "--json"))
    assert rows[0]["ceiling"] == 1
    path.write_text("spacegroup_number,weight\n225,3\n216,1\n")
    rows = json.loads(output("ceilings", "--family", "cubic", "--prior", path, "--json"))
    assert [row["ceiling"] for row in rows[:2]] == [0.75, 1]


def test_labelled_axes_tell_more_orthorhombic_classes_apart():
    """33 without and 44 with the axes of the standard settings."""
    classes = json.loads(output("classes", "--family", "orthorhombic", "--axes", "labelled", "--json"))
    assert len(classes) == 44


def test_describe_counts_a_table(root):
    path = root / "src/xtinct/symmetry/data/wyckoff.parquet"
    described = json.loads(output("describe", path, "--json"))
    # ITA lists 1731 Wyckoff positions of the 230 groups in three dimensions.
    assert described["rows"] == 1731
    units = {column["name"]: column["unit"] for column in described["columns"]}
    assert units["translations"] == "1/24"
    assert "1,731 rows" in output("describe", path)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("classes", "--family", "cubik"), "'cubik'"),
        (("ceilings", "--target", "colour"), "'colour'"),
        (("ceilings", "--family", "Pnma"), "all-metric-ignored\n"),
        (("describe", "nothing.parquet"), "nothing.parquet: no such file"),
        (("describe", __file__), "not a readable Parquet file"),
        (("check", "nothing.yaml"), "nothing.yaml: no such file"),
        (("bench", "--structures", "nothing.parquet"), "name a table of structures (--structures)"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, expected):
    done = xtinct(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("xtinct: error: ")
    assert expected in done.stderr


def test_help_lists_what_may_be_told():
    """The help imports nothing, so its lists stand apart from those of the code."""
    for command, names in (
        ("ceilings", [*SCOPES, *TARGETS]),
        ("classes", SCOPES),
        ("predict", FAMILIES),
        ("index", [*FAMILIES, "all"]),
    ):
        told = " ".join(getattr(option, "help", None) or "" for option in cli.commands[command].params)
        assert set(names) <= set(re.findall(r"[\w-]+", told)), command


def test_help_needs_nothing_heavy():
    """`xtinct --help` imports no numpy, torch or pyarrow."""
    check = (
        "import sys; sys.argv = ['xtinct', '--help']\n"
        "from xtinct.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print({'numpy', 'numba', 'torch', 'pyarrow', 'gemmi'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
    assert "ceilings" in done.stdout


def test_a_pattern_is_read_and_answered_without_torch_and_pandas(tmp_path):
    rows = (f"{10 + 0.05 * i:.2f} {100 + i % 7}" for i in range(1000))
    (tmp_path / "flat.xy").write_text("\n".join(rows))
    check = (
        "import sys; from xtinct.cli import cli; "
        "cli(['predict', 'flat.xy', '--wavelength', 'CuKa'], standalone_mode=False); "
        "print({'torch', 'pandas'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", check]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout.splitlines()[-1:] == ["set()"], done.stderr


@pytest.mark.parametrize("command", ["index", "predict"])
def test_a_pattern_that_is_none_is_named(tmp_path, command):
    (tmp_path / "short.xy").write_text("5 1\n")
    refused = xtinct(command, tmp_path / "short.xy", "--wavelength", "1.5406")
    assert refused.returncode == 2
    assert refused.stderr == f"xtinct: error: {tmp_path / 'short.xy'}: 1 points, expected at least 2\n"


@pytest.mark.parametrize("command", ["index", "recognise"])
def test_a_pattern_that_cannot_be_read_costs_no_other_its_answer(tmp_path, monkeypatch, command):
    """Of three files of which one is empty, two have answers, which are printed as they come."""
    monkeypatch.chdir(tmp_path)
    lines = "\n".join(["27.37", "31.70", "45.45", "53.87", "56.48", "66.23", "73.07", "75.30"])
    for name in ("a.txt", "c.txt"):
        (tmp_path / name).write_text(lines)
    (tmp_path / "b.txt").write_text("")
    question = [command, "a.txt", "b.txt", "c.txt", "--peaks", "--axis", "2theta", "--wavelength", "1.5406"]
    done = CliRunner().invoke(cli, question)
    assert [line for line in done.stdout.splitlines() if line in ("a.txt", "c.txt")] == ["a.txt", "c.txt"]
    assert done.stderr.startswith("xtinct: error: b.txt: the file is empty")
    assert str(done.exception) == "1 of 3 patterns have no answer; each is named above"
    answers = json.loads(CliRunner().invoke(cli, [*question, "--json"]).stdout)
    assert [answer["name"] for answer in answers] == ["a.txt", "b.txt", "c.txt"]
    assert list(answers[1]) == ["name", "error"]
    # What is wrong with the question is said once.
    wrong = CliRunner().invoke(cli, [*question[:-1], "0.15406"])
    assert str(wrong.exception).startswith("wavelength: 0.15406")
    assert wrong.output == ""


def test_a_folder_in_place_of_a_pattern_is_said(tmp_path):
    refused = xtinct("index", tmp_path)
    assert refused.returncode == 2
    assert refused.stderr == (
        f"xtinct: error: {tmp_path}: is a folder; name the files in it, as {tmp_path / '*.xy'}\n"
    )


def test_a_record_of_a_folder_that_is_no_checkout_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, ["snapshot"])
    assert str(done.exception) == "dvc.yaml: no such file; run this in the project's folder"
