"""The package with its core dependencies alone: every command and every offered function, once.

The quick tests unpack the wheel and hide what the core does not depend on. The slow ones install the wheel
and the source distribution into empty environments; XTINCT_PYTHONS names the interpreters (separated by
spaces), without it this one. XTINCT_INSTALLED names the interpreter of an environment that somebody has
installed the package in, which is then tested as it is.
"""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rock_salt import ROCK_SALT

import xtinct
from xtinct.cli import cli

#: Run before anything else: what the core does not depend on is as if it were not installed.
HIDE = """
import json, os, sys
from importlib.machinery import PathFinder
hidden = set(json.load(open(os.environ["HIDDEN_MODULES"])))
class Hiding(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in hidden else PathFinder.find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = Hiding
"""

POSCAR = "NaCl\n1.0\n5.64 0 0\n0 5.64 0\n0 0 5.64\nNa Cl\n1 1\nDirect\n0 0 0\n0.5 0.5 0.5\n"

FUNCTIONS = f"""
import numpy as np, xtinct
assert xtinct.__file__.startswith({{site!r}}), xtinct.__file__
open("NaCl.cif", "w").write({ROCK_SALT!r})
d_star, intensity = xtinct.line_list("NaCl.cif")
assert len(d_star) > 5
assert xtinct.lines("NaCl.cif").hkl[1].tolist() == [2, 0, 0]
for calculator in (xtinct.XRDCalculator, xtinct.NDCalculator):
    try:
        calculator()
    except xtinct.XtinctError as error:
        assert "needs the package pymatgen, which is not installed" in str(error), error
pattern = xtinct.simulate("NaCl.cif")
instrument = xtinct.Instrument.from_config({{instrument!r}})
np.savetxt("NaCl.xy", np.column_stack([instrument.two_theta, xtinct.simulate("NaCl.cif", instrument)]))
assert xtinct.ulbd_patterns(225, [[5, 5, 5, 90, 90, 90]], draws=2, seed=1).shape == (2, 8192)
assert len(xtinct.extinction_classes("cubic")) == 17
assert float(xtinct.ceilings("cubic")[1]) == 17 / 36
counts = np.random.default_rng(0).poisson(20 + 2000 * xtinct.simulate("NaCl.cif", instrument)).astype(float)
assert xtinct.index((instrument.two_theta, counts), 1.5406, family="cubic").lattice is not None
assert xtinct.space_group("Pbnm").number == 62
from torch.utils.data import DataLoader
from xtinct.data import LineView, SampleSource, StreamDataset, collate_lines
lattices = dict(cubic=dict(lengths=[5, 8]))
source = SampleSource("ulbd-online", "cubic", seed=1, lattices=lattices)
stream = StreamDataset(source, view=LineView(), count=16)
batches = list(DataLoader(stream, batch_size=8, collate_fn=collate_lines, num_workers=2))
assert [len(labels) for _, labels in batches] == [8, 8]
scan = (instrument.two_theta, counts)
assert xtinct.recognise(scan, "known.parquet", 1.5406).structures > 100
assert xtinct.predict(scan, 1.5406, family="cubic").lattice.bravais == "cF"
try:
    xtinct.line_list({POSCAR!r})
except xtinct.XtinctError as error:
    print("refused:", error)
"""

#: Command -> arguments and what its last line of error output says; "" where it must succeed. A command that
#: needs an extra ends with one line that names it. A new command needs a line here.
COMMANDS = {
    "version": ([], ""),
    "classes": (["--family", "cubic"], ""),
    "ceilings": (["--family", "cubic"], ""),
    "lines": (["NaCl.cif"], ""),
    "check": (["small.yaml"], ""),
    "train": (["ulbd", "cubic", "--config", "small.yaml"], ""),
    "predict": (["NaCl.xy", "--wavelength", "1.5406"], ""),
    "index": (["NaCl.xy", "--wavelength", "1.5406", "--family", "cubic"], ""),
    "recognise": (["NaCl.xy", "--wavelength", "1.5406", "--database", "known.parquet"], ""),
    "identify": (["--help"], ""),  # the former name of predict
    "app": ([], "needs the package pebble, which is not installed: pip install 'xtinct[app]'"),
    "describe": (["lines.parquet"], ""),
    "export": (
        ["lines.parquet", "--out", "exported", "--config", "small.yaml"],
        "needs the package huggingface-hub, which is not installed: pip install 'xtinct[share]'",
    ),
    "score": (["answers.csv", "--truth", "lines.parquet", "--split", "all"], ""),
    "verify": (["--help"], ""),
    "share": (
        ["out"],
        "needs the package huggingface-hub, which is not installed: pip install 'xtinct[share]'",
    ),
    "snapshot": ([], "needs the package snakemake, which is not installed: pip install 'xtinct[workflow]'"),
    "adopt": ([], "needs the package dvc, which is not installed: pip install 'xtinct[workflow]'"),
    "dvc-stages": (
        [],
        "needs the package ruamel.yaml, which is not installed: pip install 'xtinct[workflow]'",
    ),
    "bench": (
        ["--structures", "table.parquet", "--rounds", "1"],
        "needs the package pymatgen, which is not installed: pip install 'xtinct[workflow]'",
    ),
}


@dataclass(frozen=True)
class Installed:
    """The package at `site`, the `interpreter` that finds it there, and a `work` folder that is no checkout.

    hidden: a file with the modules that are to be as if they were not installed, or None.
    """

    site: Path
    work: Path
    interpreter: Path
    environment: dict
    hidden: Path | None = None

    def python(self, code, *arguments):
        environment = self.environment | ({"HIDDEN_MODULES": str(self.hidden)} if self.hidden else {})
        return subprocess.run(
            [self.interpreter, "-c", (HIDE if self.hidden else "import sys\n") + code, *arguments],
            cwd=self.work, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def xtinct(self, *arguments):
        return self.python("from xtinct.cli import main; sys.argv[0] = 'xtinct'; main()", *arguments)


def behind(names):
    """Distributions that `names` depend on, themselves among them."""
    found, pending = set(), [(name, frozenset()) for name in names]
    while pending:
        name, extras = pending.pop()
        if (canonicalize_name(name), extras) in found:
            continue
        found.add((canonicalize_name(name), extras))
        try:
            required = map(Requirement, requires(name) or [])
        except PackageNotFoundError:
            continue  # of another platform
        pending += [
            (each.name, frozenset(each.extras))
            for each in required
            if not each.marker or any(each.marker.evaluate({"extra": extra}) for extra in extras or {""})
        ]
    return {name for name, _ in found}


def outside(**variables):
    """The environment of a process that measures no coverage and finds nothing of this checkout."""
    own = ("COV_", "PYTHON", "XTINCT_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(own)}
    return kept | variables


@pytest.fixture(scope="module")
def source(root, tmp_path_factory):
    """What a distribution is built from, without anything that was compiled or built before."""
    source = tmp_path_factory.mktemp("source")
    shutil.copytree(root / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, source)
    return source


def wheel_of(source):
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", source / "wheel", source], check=True, capture_output=True)
    (wheel,) = (source / "wheel").iterdir()
    return wheel


def sdist_of(source):
    code = "import setuptools.build_meta as backend; backend.build_sdist('sdist')"
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True, capture_output=True)
    (sdist,) = (source / "sdist").iterdir()
    return sdist


def take_compiled_code(root, site):
    """Spare the package in `site` to compile for minutes what the checkout has compiled.

    Numba looks whether the source, its own version and the processor are the same, and that of the
    interpreter; it takes a source for the same by its time and size.
    """
    for path in (root / "src").rglob("*.*"):
        there = site / path.relative_to(root / "src")
        if path.suffix in (".nbi", ".nbc"):
            there.parent.mkdir(exist_ok=True)
            shutil.copy2(path, there)
        elif path.suffix == ".py":
            os.utime(there, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))


def unpacked(source, root, site):
    """The wheel unpacked into `site`, and a file with the modules to hide."""
    with zipfile.ZipFile(wheel_of(source)) as archive:
        archive.extractall(site)
    take_compiled_code(root, site)
    (metadata,) = site.glob("xtinct-*.dist-info/METADATA")
    lines = [line.partition(": ")[2] for line in metadata.read_text().splitlines() if "Requires-Dist" in line]
    core = [Requirement(line).name for line in lines if "extra ==" not in line]
    kept = behind(core) | {"xtinct"}
    hidden = [
        module
        for module, owners in packages_distributions().items()
        if not kept & {canonicalize_name(owner) for owner in owners}
    ]
    assert {"pymatgen", "snakemake", "dvc", "pandas", "pytest"} <= set(hidden)
    (site / "hidden.json").write_text(json.dumps(hidden))
    return site / "hidden.json"


def empty_environment(distribution, root, folder, python):
    """An environment with `distribution` and what it depends on, and nothing else; its interpreter."""
    subprocess.run([python, "-m", "venv", folder], check=True, capture_output=True, env=outside())
    interpreter = folder / "bin" / "python"
    pinned = ["--constraint", root / "requirements.lock", distribution]
    done = subprocess.run(
        [interpreter, "-m", "pip", "install", "--quiet", *pinned],
        env=outside(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "NewConnectionError" in done.stderr or "Name or service not known" in done.stderr:
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr[-3000:]
    return interpreter


def files_to_work_on(root, known_structures, work):
    config = yaml.safe_load((root / "config/smoke.yaml").read_text())
    config["experiments"]["ulbd"]["patterns"] = 512
    (work / "small.yaml").write_text(yaml.safe_dump(config))
    shutil.copy(root / "data/prototypes/aflow_prototypes.parquet", work / "table.parquet")
    shutil.copy(known_structures / "table.parquet", work / "known.parquet")


EMPTY = [
    pytest.param((build, python), id=f"{build.__name__}-{Path(python).name}", marks=pytest.mark.slow)
    for python in os.environ.get("XTINCT_PYTHONS", sys.executable).split()
    for build in (wheel_of, sdist_of)
]
if "XTINCT_INSTALLED" in os.environ:
    THERE = (None, os.environ["XTINCT_INSTALLED"])
    EMPTY.append(pytest.param(THERE, id="there", marks=pytest.mark.slow))


@pytest.fixture(scope="module", params=[pytest.param(None, id="unpacked"), *EMPTY])
def installed(request, source, root, tmp_path_factory, known_structures):
    site, work = (tmp_path_factory.mktemp(name) for name in ("site", "work"))
    files_to_work_on(root, known_structures, work)
    if request.param is None:
        hidden = unpacked(source, root, site)
        return Installed(site, work, Path(sys.executable), outside(PYTHONPATH=str(site)), hidden)
    build, python = request.param
    if build is None:
        return Installed(Path(python).parent.parent, work, Path(python), outside())
    interpreter = empty_environment(build(source), root, site, python)
    place = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = subprocess.run([interpreter, "-c", place], capture_output=True, text=True, check=True)
    take_compiled_code(root, Path(packages.stdout.strip()))
    return Installed(site, work, interpreter, outside())


@pytest.fixture(scope="module")
def functions_ran(installed, root):
    instrument = yaml.safe_load((installed.work / "small.yaml").read_text())["instrument"]
    done = installed.python(FUNCTIONS.format(site=str(installed.site), instrument=instrument))
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def line_table(installed, root, functions_ran):
    """A table of line lists, as a build of the datasets makes it, but of one shard of ULBD."""
    code = (
        "import yaml\nfrom xtinct.datasets.settings import UlbdSettings\n"
        "from xtinct.datasets.ulbd import build_shard\n"
        "from xtinct.files.shards import Shard\nconfig = yaml.safe_load(open('small.yaml'))\n"
        "build_shard(UlbdSettings.from_config(config, 'cubic', seed=1), Shard(), 'lines.parquet')"
    )
    code += (
        "\nimport pyarrow.parquet as pq\nids = pq.read_table('lines.parquet')['sample_id'].to_pylist()\n"
        "rows = ''.join(f'{name},225\\n' for name in ids)\n"
        "open('answers.csv', 'w').write('sample_id,spacegroup_number_1\\n' + rows)\n"
        "import xtinct\nassert xtinct.score('answers.csv', 'lines.parquet', split='all').n == len(ids)"
    )
    done = installed.python(code)
    assert done.returncode == 0, done.stderr[-3000:]


def test_every_offered_function_runs(functions_ran):
    """A structure that only pymatgen reads is refused in one line that names the extra."""
    refused = functions_ran.splitlines()[-1]
    if refused.startswith("refused: "):
        assert "pymatgen, which is not installed: pip install 'xtinct[workflow]'" in refused
    assert set(xtinct.__all__) == {
        "simulate", "line_list", "ulbd_patterns", "extinction_classes", "ceilings", "index", "predict",
        "recognise", "score", "space_group", "lines", "XRDCalculator", "NDCalculator",
        "Instrument", "XtinctError",
    }, "a new function needs a call above"  # fmt: skip


def test_every_command_is_run():
    assert set(cli.commands) <= set(COMMANDS)


@pytest.mark.usefixtures("line_table")
def test_every_command_runs_or_names_the_extra_that_it_needs(installed):
    for command, (arguments, said) in COMMANDS.items():
        if command not in cli.commands:
            continue
        done = installed.xtinct(command, *arguments)
        assert "Traceback" not in done.stderr, f"{command}: {done.stderr[-3000:]}"
        if said:
            assert done.returncode == 2, command
            assert done.stderr.splitlines()[-1].startswith("xtinct: error: this "), command
            assert said in done.stderr
        else:
            assert done.returncode == 0, f"{command}: {done.stderr[-3000:]}"


def test_a_picture_without_its_package_names_the_extra(installed):
    done = installed.xtinct("classes", "--symbol", "Pbnm")
    assert "P b n m (No. 62)" in done.stdout
    (installed.work / "NaCl.cif").write_text(ROCK_SALT)
    done = installed.xtinct("lines", "NaCl.cif", "--plot", "salt.svg")
    assert done.returncode == 2
    said = "this needs the package matplotlib, which is not installed: pip install 'xtinct[plot]'"
    assert done.stderr.strip() == f"xtinct: error: {said}"


def test_the_page_and_the_card_come_along(installed, root):
    source = root / "src/xtinct/app/static"
    place = Path(installed.python("import xtinct; print(xtinct.__path__[0])").stdout.strip())
    assert place.is_relative_to(installed.site)
    assert {"CARD.md", "NOTICE"} <= {path.name for path in (place / "recognition/data").iterdir()}
    assert {path.name for path in (place / "app/static").iterdir()} == {
        path.name for path in source.iterdir()
    }


def test_the_schema_comes_along_and_the_configuration_is_named(installed):
    """Far from any checkout: a wrong key is named by the schema, a missing file with what to do."""
    text = (installed.work / "small.yaml").read_text().replace("symprec:", "symprek:")
    (installed.work / "wrong.yaml").write_text(text)
    done = installed.xtinct("check", "wrong.yaml")
    assert done.returncode == 2
    assert "unknown key cleaning.symprek; did you mean symprec?" in done.stderr
    for arguments in (["check"], ["train", "ulbd", "cubic"]):
        done = installed.xtinct(*arguments)
        assert done.returncode == 2
        assert done.stderr.startswith("xtinct: error: config/config.yaml: no such file")
        assert "run in a checkout of the project" in done.stderr
        assert len(done.stderr.splitlines()) == 1
