"""Compiled code is cached on disk: a fresh process starts quickly, and many may start at once."""

import ast
import fcntl
import itertools
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack

import pytest

FIRST_CALLS = """
import time
import numpy as np
from xtinct.patterns.variation import Variation
from xtinct.patterns.instrument import Instrument
from xtinct.linelists.ulbd_lines import UlbdLines
from xtinct.patterns.ulbd_patterns import ulbd_patterns
from xtinct.patterns.rendering import render
from xtinct.linelists.structure_factors import structure_lines

cell = np.array([[5.0, 5, 5, 90, 90, 90]])
lines, instrument = UlbdLines("cubic", 0.93, 15.0), Instrument(1.5406, 5, 90, 8192, "lorentz", 0.2)
pattern = render(lines.draw([225], cell, np.zeros(1, np.uint64)), instrument)
pattern += ulbd_patterns(lines, [225], cell, np.zeros((1, 1), np.uint64), instrument)[0]
lines.draw([225], cell, np.zeros(1, np.uint64), "wilson")
structure_lines(cell[0], [26], np.zeros((1, 3)), [1.0], d_star_max=0.93)
conditions = Variation(width_factor=(0.5, 2), counts=(100, 1000)).draw(np.uint64(1), 0, 1)
mixed = Instrument(1.5406, 5, 90, 8192, "lorentz", 0.2, profile="pseudo-voigt", eta=0.5)
pattern += render(lines.draw([225], cell, np.zeros(1, np.uint64)), mixed, conditions=conditions)
print(time.process_time(), float(pattern.sum()))
"""

ONE_KERNEL = """
import numpy as np
from xtinct.lattices.metric import reciprocal_metric
print(reciprocal_metric(np.array([[4.0, 5, 6, 90, 100, 90]])).tobytes().hex())
"""


def run(code, **environment):
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, **environment}
    ).stdout.split()


def test_a_fresh_process_is_quick_once_the_cache_is_there():
    run(FIRST_CALLS)
    # Processor time, imports included: the clock on the wall depends on what else runs here.
    assert float(run(FIRST_CALLS)[0]) < 3.0


@pytest.mark.parametrize("processes", [6, pytest.param(64, marks=pytest.mark.slow)])
def test_many_processes_may_fill_the_cache_at_once(tmp_path, processes):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", ONE_KERNEL], stdout=subprocess.PIPE, env=environment, text=True
        )
        for _ in range(processes)
    ]
    results = {process.communicate()[0] for process in started}
    assert all(process.returncode == 0 for process in started)
    assert len(results) == 1
    assert run(ONE_KERNEL, NUMBA_CACHE_DIR=str(tmp_path)) == results.pop().split()


def test_of_many_processes_one_compiles(tmp_path):
    (tmp_path / "kernel.py").write_text(
        "from xtinct.compiling import njit\n\n\n@njit(cache=True)\ndef double(x):\n    return x * 2\n"
    )
    code = "from kernel import double; double(1.5); print(sum(double.stats.cache_misses.values()))"
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}, text=True,
        )
        for _ in range(6)
    ]  # fmt: skip
    assert sorted(process.communicate()[0] for process in started) == ["0\n"] * 5 + ["1\n"]


def test_a_turn_that_is_never_given_back_is_waited_for_only_so_long(tmp_path):
    expected = run(ONE_KERNEL, NUMBA_CACHE_DIR=str(tmp_path))
    for compiled in tmp_path.rglob("*.nb[ci]"):
        compiled.unlink()
    with ExitStack() as held:
        for lock in tmp_path.rglob("*.lock"):
            fcntl.flock(held.enter_context(lock.open()), fcntl.LOCK_EX)
        impatient = "import xtinct.compiling\nxtinct.compiling._PATIENCE = 0.2\n"
        assert run(impatient + ONE_KERNEL, NUMBA_CACHE_DIR=str(tmp_path)) == expected
    assert list(tmp_path.rglob("*.nbc"))


def test_an_installation_that_cannot_be_written_compiles_anew_and_says_once_what_to_set(root, tmp_path):
    """A file where the folder for compiled code would be: not even root can write there."""
    shutil.copytree(root / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for folder in [path for path in (tmp_path / "src").rglob("*") if path.is_dir()]:
        (folder / "__pycache__").write_text("")
    (tmp_path / "home").write_text("")
    environment = {
        **{key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"},
        "PYTHONPATH": str(tmp_path / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
        **dict.fromkeys(("HOME", "XDG_CACHE_HOME"), str(tmp_path / "home")),
    }
    command = [sys.executable, "-c", ONE_KERNEL]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert done.stderr.count("NUMBA_CACHE_DIR") == 1
    assert done.stdout.split() == run(ONE_KERNEL)
    folder = {**environment, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=folder)
    assert done.stderr == ""
    assert list((tmp_path / "cache").rglob("*.nbc"))


def test_code_compiled_before_a_class_moved_is_compiled_anew(tmp_path):
    """An update may move a class that compiled code takes; the module that is compiled stays as it is."""
    (tmp_path / "before.py").write_text(
        "from typing import NamedTuple\n\n\nclass Pair(NamedTuple):\n    first: float\n    second: float\n"
    )
    kernel = (
        "from xtinct.compiling import njit\n\n\n@njit(cache=True)\ndef total(pair):\n    return pair.first\n"
    )
    (tmp_path / "kernel.py").write_text(kernel)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    call = "from kernel import total; from {} import Pair; print(total(Pair(2.0, 3.0)))"
    for module in ("before", "after"):
        assert run(call.format(module), PYTHONPATH=path) == ["2.0"]
        assert list((tmp_path / "__pycache__").glob("kernel.total*.nbi")), "compiled code is kept"
        if module == "before":
            (tmp_path / "before.py").rename(tmp_path / "after.py")


@pytest.mark.parametrize(("looks_on", "times"), [(True, 1), (False, 0)])
def test_somebody_at_a_terminal_is_told_once_why_it_takes_long(tmp_path, looks_on, times):
    """Once after an installation; where nobody looks, and once the cache is there, nothing is said."""

    def said():
        ours, theirs = os.openpty()
        tell = "from xtinct.cli.printing import tell_of_compiling\ntell_of_compiling()\n"
        command = [sys.executable, "-c", f"{tell}{ONE_KERNEL}import os\nos.write({theirs}, b'end')"]
        told = {"stdout": subprocess.DEVNULL, "stderr": theirs if looks_on else subprocess.PIPE}
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
        assert not subprocess.run(command, check=True, pass_fds=[theirs], env=environment, **told).stderr
        os.close(theirs)
        with os.fdopen(ours, "rb", buffering=0) as terminal:
            return terminal.read(4096).decode()

    first = said()
    assert first.count("compiling for this machine, once after an installation") == times
    assert first.endswith("end")
    assert said() == "end"


def test_compiled_functions_assign_no_array_to_a_slice(root):
    """numba would compile the text of its error about shapes too, for two seconds in each process."""
    found = []
    for path in sorted((root / "src").rglob("*.py")):
        functions = [
            node
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.FunctionDef)
            and any("njit" in ast.unparse(one) for one in node.decorator_list)
        ]
        for node in itertools.chain.from_iterable(map(ast.walk, functions)):
            if isinstance(node, ast.Assign | ast.AugAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                sliced = any(isinstance(part, ast.Slice) for one in targets for part in ast.walk(one))
                names = {part.id for part in ast.walk(node.value) if isinstance(part, ast.Name)}
                if sliced and names - {"np"}:
                    found.append(f"{path.relative_to(root)}:{node.lineno}: {ast.unparse(node)}")
    assert found == []
