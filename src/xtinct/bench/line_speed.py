"""Speed of `xtinct.lines` and `xtinct.XRDCalculator` beside other programs, crystal by crystal.

Every program gets the same crystals, through the functions that its users call, all in turn in one process:
CIF text, or the same pymatgen Structure. A crystal that one of them cannot read is left out, with the reason.
"""

import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import gemmi
import numpy as np

from xtinct.bench.generation_speed import table_cifs
from xtinct.bench.machine import machine
from xtinct.crystals.crystal_lines import lines
from xtinct.errors import XtinctError
from xtinct.sources.archives import decoded

_WAVELENGTH = 1.5406
_RANGE = (5.0, 90.0)
#: 1/angstrom and angstrom, the same range for programs that do not know angles.
_Q_MAX, _D_MIN = 5.7677, 1.0895
#: What is asked for: how many times as fast as pymatgen, the median over crystals.
_TARGET, _TARGET_AS_WRITTEN = 25, 60
#: Programs that are held against, and how they are had.
_OTHERS = {
    "pymatgen": "pip install 'xtinct[workflow]'",
    "braggcalculator": "pip install braggcalculator, Python 3.12 and later",
    "gemmi": "pip install xtinct",
}


class CrystalFile(NamedTuple):
    """A crystal in the forms that programs take: text, the path of a file with it, pymatgen's Structure."""

    name: str
    text: str
    path: str
    structure: Any


@dataclass(frozen=True)
class Program:
    """A way from a crystal to its lines.

    library   distribution whose version counts
    does      what it does, in few words
    work      does it for one crystal
    """

    library: str
    does: str
    work: Callable[[CrystalFile], object]


class Comparison(NamedTuple):
    """One row: a baseline and what of ours is held against it; target None: none is set."""

    start: str
    baseline: str
    ours: str
    target: float | None


#: Keys are those of `programs`.
COMPARISONS = (
    Comparison("CIF text", "pymatgen, text", "lines", _TARGET),
    Comparison("CIF text", "braggcalculator, file", "lines", None),
    Comparison("CIF text", "gemmi, text", "lines", None),
    Comparison("CIF text", "pymatgen, text", "lines as written", _TARGET_AS_WRITTEN),
    Comparison("CIF text", "braggcalculator, file", "lines as written", None),
    Comparison("Structure", "pymatgen", "XRDCalculator", _TARGET),
    Comparison("Structure", "braggcalculator", "XRDCalculator", None),
)


def run(cifs: Mapping[str, str], *, rounds: int = 5) -> dict[str, object]:
    """Time every program on CIF texts by name; records with the machine and versions they were taken on.

    XtinctError where pymatgen, against which all is held, is missing or no crystal can be read by all.
    """
    entrants = programs()
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # others remark on the style of CIFs
        crystals, left_out = _readable(cifs, entrants, Path(folder))
        if not crystals:
            raise XtinctError(f"bench: no crystal that every program reads; {left_out[0]['reason']}")
        times = _medians(crystals, entrants, rounds)
    libraries = dict.fromkeys(program.library for program in entrants.values())
    return {
        "machine": machine(libraries),
        "crystals": len(crystals),
        "left_out": left_out,
        "not_installed": [name for name in _OTHERS if name not in libraries],
        "rounds": rounds,
        "records": [
            _record(comparison, entrants, times)
            for comparison in COMPARISONS
            if comparison.baseline in entrants
        ],
        "seconds": {
            crystal.name: {"sites": len(crystal.structure), **times[crystal.name]} for crystal in crystals
        },
    }


def programs() -> dict[str, Program]:
    """Every program that is installed, by a short name."""
    from xtinct.crystals.pymatgen_calculators import XRDCalculator

    ours = XRDCalculator(_WAVELENGTH)

    def own(crystal: CrystalFile, symprec: float | None = 0.01) -> Any:
        return lines(crystal.text, _WAVELENGTH, two_theta_range=_RANGE, symprec=symprec)

    return {
        "lines": Program("xtinct", "xtinct.lines", own),
        "lines as written": Program("xtinct", "xtinct.lines, symprec=None", lambda one: own(one, None)),
        "XRDCalculator": Program(
            "xtinct",
            "xtinct.XRDCalculator",
            lambda one: ours.get_pattern(one.structure, two_theta_range=_RANGE),
        ),
        **_of_pymatgen(),
        **(_of_braggcalculator() if find_spec("braggcalculator") else {}),
        "gemmi, text": Program(
            "gemmi", "|F|^2 of unique hkl, not lines", lambda one: gemmi_squares(one.text)
        ),
    }


def _of_pymatgen() -> dict[str, Program]:
    from pymatgen.analysis.diffraction.xrd import XRDCalculator

    theirs = XRDCalculator(_WAVELENGTH)

    def pattern(structure: Any) -> Any:
        return theirs.get_pattern(structure, two_theta_range=_RANGE)

    return {
        "pymatgen": Program("pymatgen", "XRDCalculator", lambda one: pattern(one.structure)),
        "pymatgen, text": Program(
            "pymatgen", "CifParser, XRDCalculator", lambda one: pattern(structure_of(one.text))
        ),
    }


def _of_braggcalculator() -> dict[str, Program]:
    from braggcalculator import BraggCalculator

    calculator = BraggCalculator(wavelength=_WAVELENGTH, two_theta_range=_RANGE, q_range=(0.0, _Q_MAX))
    return {
        "braggcalculator": Program(
            "braggcalculator",
            "load, line_pattern",
            lambda one: calculator.load(one.structure).line_pattern(scaled=True),
        ),
        "braggcalculator, file": Program(
            "braggcalculator",
            "load of a file, line_pattern",
            lambda one: calculator.load(one.path).line_pattern(scaled=True),
        ),
    }


def structure_of(text: str) -> Any:
    """The pymatgen Structure of a CIF, its cell as it is written."""
    from pymatgen.io.cif import CifParser

    return CifParser.from_str(text).parse_structures(primitive=False)[0]


def gemmi_squares(text: str) -> list[float]:
    """|F|^2 of the unique hkl by gemmi's direct summation."""
    small = gemmi.make_small_structure_from_block(gemmi.cif.read_string(text).sole_block())
    calculator = gemmi.StructureFactorCalculatorX(small.cell)
    group = small.spacegroup or gemmi.SpaceGroup("P 1")
    hkl = gemmi.make_miller_array(small.cell, group, _D_MIN)
    return [abs(calculator.calculate_sf_from_small_structure(small, one)) ** 2 for one in hkl.tolist()]


def cifs_by_name(path: str | Path, most: int) -> dict[str, str]:
    """CIF texts of a folder (every .cif in it) or of `most` rows of a Parquet table, by their names."""
    folder = Path(path)
    if not folder.is_dir():
        return {f"row {place}": text for place, text in table_cifs(path, most)}
    files = sorted(folder.glob("*.cif"))
    if not files:
        raise XtinctError(f"{path}: no .cif in this folder")
    return {file.name: decoded(file.read_bytes()) for file in files}


def _readable(
    cifs: Mapping[str, str], entrants: Mapping[str, Program], folder: Path
) -> tuple[list[CrystalFile], list[dict[str, str]]]:
    """Crystals that every program has read once, which warms it up, and the others with their reasons."""
    crystals, left_out = [], []
    for number, (name, text) in enumerate(cifs.items()):
        path = folder / f"{number}.cif"
        path.write_text(text, encoding="utf-8")
        by = "pymatgen"
        try:
            crystal = CrystalFile(name, text, str(path), structure_of(text))
            for program in entrants.values():
                by = program.library
                program.work(crystal)
        except Exception as error:
            # Programs raise whatever a file leads them into.
            reason = " ".join(f"{by}: {type(error).__name__}: {error}".split())
            left_out.append({"name": name, "reason": reason[:300]})
            continue
        crystals.append(crystal)
    return crystals, left_out


def _medians(
    crystals: Sequence[CrystalFile], entrants: Mapping[str, Program], rounds: int
) -> dict[str, dict[str, float]]:
    """Crystal -> program -> seconds of processor time, the median of `rounds`.

    The programs take turns with the whole list, as those who use them do: a quick one that has to wait for a
    slow one at every crystal finds the processor's caches filled by it.
    """
    taken = {crystal.name: {name: [] for name in entrants} for crystal in crystals}
    for _ in range(rounds):
        for name, program in entrants.items():
            for crystal in crystals:
                start = time.process_time()
                program.work(crystal)
                taken[crystal.name][name].append(time.process_time() - start)
    return {
        crystal: {name: statistics.median(each) for name, each in by_program.items()}
        for crystal, by_program in taken.items()
    }


def _record(
    comparison: Comparison, entrants: Mapping[str, Program], times: Mapping[str, Mapping[str, float]]
) -> dict[str, object]:
    base, own = (
        np.array([times[name][which] for name in times]) for which in (comparison.baseline, comparison.ours)
    )
    ratios = base / own
    ratio, low, high = (float(np.quantile(ratios, share)) for share in (0.5, 0.25, 0.75))
    baseline = entrants[comparison.baseline]
    return {
        "from": comparison.start,
        "baseline": baseline.library,
        "version": version(baseline.library),
        "does": baseline.does,
        "ours": entrants[comparison.ours].does,
        "baseline_ms": 1e3 * float(np.median(base)),
        "ours_ms": 1e3 * float(np.median(own)),
        "ratio": ratio,
        "ratio_quartiles": [low, high],
        "ratio_of_totals": float(base.sum() / own.sum()),
        "target": comparison.target,
        "met": None if comparison.target is None else ratio >= comparison.target,
    }


def table(result: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Rows of text for printing, the heading first; times are medians over crystals."""
    rows = [
        (
            *("from", "program", "does", "ms", "ours", "ms"),
            *("times as fast", "quartiles", "in all", "target", "met"),
        )
    ]
    for r in result["records"]:
        low, high = r["ratio_quartiles"]
        met = {None: "", True: "yes", False: "no"}[r["met"]]
        rows.append(
            (
                *(r["from"], f"{r['baseline']} {r['version']}", r["does"], f"{r['baseline_ms']:,.2f}"),
                *(r["ours"], f"{r['ours_ms']:,.2f}", f"{r['ratio']:,.1f}", f"{low:,.1f}-{high:,.1f}"),
                *(f"{r['ratio_of_totals']:,.1f}", f">= {r['target']:g}" if r["target"] else "", met),
            )
        )
    return rows


def remarks(result: Mapping[str, Any]) -> Iterator[str]:
    """Lines for below the table: how many crystals, which were left out, what is not installed."""
    yield f"{result['crystals']} crystals, median of {result['rounds']} rounds each"
    for one in result["left_out"]:
        yield f"left out: {one['name']}: {one['reason']}"
    for name in result["not_installed"]:
        yield f"{name} is not installed, so not measured ({_OTHERS[name]})"
