"""The measurement on a GPU, rehearsed: in small, on the CPU, with what an image with torch brings."""

import json
import os
import subprocess
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
import setuptools
import torch
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from xtinct.learning.training_settings import TrainingSettings

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "benchmarks" / "gpu"
#: What setuptools, which compiling needs, carries itself.
_VENDORED = Path(setuptools.__file__).parent / "_vendor"
THERE = ("torch", "numba", "pyarrow", "safetensors", "numpy")


@pytest.fixture
def cases(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import cases

    yield cases
    del sys.modules["cases"]


def test_what_is_measured_is_what_the_configurations_say(cases):
    default, measured = (
        yaml.safe_load((ROOT / "config" / name).read_text()) for name in ("config.yaml", "measured.yaml")
    )
    assert default["instrument"] == cases.INSTRUMENT
    assert default["lines"] == cases.LINES
    assert measured["train"] | {"compile": "never"} == cases.TRAIN
    assert (default["models"]["logq"], measured["models"]["logq"]) == (cases.SMALL_MODEL, cases.LARGE_MODEL)
    experiment = default["experiments"]["measured"]
    joint = cases.joint_measured({}, "occupations.json").samples.experiment
    for key in ("train", "target", "lattices", "variation", "prior"):
        expected = experiment[key]
        assert (cases.WIDE if key == "lattices" else getattr(joint, key)) == expected, key
    assert isinstance(cases.wide_orthorhombic({}), TrainingSettings)


def others():
    """Top modules of all installed packages that an image with torch and the other three need not have."""
    needed, found = list(THERE), set()
    while needed:
        name = canonicalize_name(needed.pop())
        if name not in found:
            found.add(name)
            asked = map(Requirement, requires(name) or [])
            needed += [one.name for one in asked if one.marker is None or one.marker.evaluate({"extra": ""})]
    return {
        module
        for module, distributions in packages_distributions().items()
        if not found & set(map(canonicalize_name, distributions))
    } - {"xtinct", *(path.stem for path in _VENDORED.iterdir())}


@pytest.mark.slow
def test_the_whole_measurement_in_small(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU to measure")
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "from importlib.machinery import PathFinder\n"
        f"ABSENT = {sorted(others())!r}\n"
        "class Hiding:\n"
        "    def find_spec(name, path=None, target=None):\n"
        "        hidden = name.partition('.')[0] in ABSENT\n"
        "        return None if hidden else PathFinder.find_spec(name, path, target)\n"
        "sys.meta_path[:] = [Hiding if finder is PathFinder else finder for finder in sys.meta_path]\n"
    )
    out = tmp_path / "gpu.json"
    path = os.pathsep.join([str(tmp_path), str(ROOT / "src")])
    command = [sys.executable, FOLDER / "measure.py", out, "--device", "cpu", "--rehearse", "--limit", "900"]
    done = subprocess.run(
        [*map(str, command)],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    record = json.loads(out.read_text())
    for name in ("plain", "measured"):
        assert record["rendering"][name]["largest_difference"] < 1e-4
    assert record["memory"]["at_once"] < record["memory"]["batch"]
    assert record["memory"]["relative_difference"] < 1e-4
    assert record["models"]["alike"] == 1
    assert len(record["together"]["patterns_per_second"]) == 2
    for name in ("orthorhombic", "measured"):
        assert record[name]["curve"][-1][1] == record[name]["patterns"] > 0
