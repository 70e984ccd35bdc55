"""Indexing engines of the league, each a function from a peak list to ranked lattices.

An engine takes a list (see lists.py) and a folder of its own program, and returns lattices as (cell (6),
centring), best first, and whether it ran out of time. Programs of others are built elsewhere; README.md says
how.
"""

import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

#: CPU seconds that an engine may take for a list. McMaille stops by itself.
LIMIT = 60.0
#: Lines that the classical programs are made for.
FIRST = 20
#: Most lattices of an answer that are kept: whether the true one was tried at all is told from them.
LATTICES = 200
_ROW = re.compile(r"^\s*(\d+)\s+(\S+)\s+([\d.]+)\s+(?:[\d.]+\s+)?" + r"([\d.]+)\s+" * 6 + r"([PIFABCR])\b")


def xtinct(one, _):
    """This package's search, with all lines of the list."""
    return _ours(one, None)


def xtinct20(one, _):
    """The same with the first 20 lines, as the classical programs get them."""
    return _ours(one, FIRST)


def _ours(one, first):
    from xtinct.observer.indexing.candidates import Limits, candidates
    from xtinct.observer.indexing.likelihood import ShiftPrior
    from xtinct.observer.peaks.peak_lists import ListedLines, from_two_theta

    error = one.get("error")
    error = np.array(error[:first]) if isinstance(error, list) else error
    known = ListedLines(np.array(one["intensity"][:first]), error)
    peaks = from_two_theta(np.array(one["two_theta"][:first]), one["wavelength"], known)
    limits = Limits(shift_prior=ShiftPrior(0.0, one["spread"])) if "spread" in one else Limits()
    return [(one.reduced.tolist(), "P") for one in candidates(peaks, limits=limits)[:LATTICES]], False


def mcmaille(one, folder):
    """McMaille in its black-box mode without triclinic lattices, first 20 lines."""
    with tempfile.TemporaryDirectory() as place:
        for table in Path(folder).glob("*.hkl"):
            shutil.copy(table, place)
        rows = [f"{x:9.4f} {max(y, 0.1):12.4f}" for x, y in _first(one)]
        heading = ["list", "! Wavelength, zeropoint and NGRID", f"{one['wavelength']:.5f} 0.0 -3", "! lines"]
        (Path(place) / "t.dat").write_text("\n".join(heading + rows) + "\n")
        before = _children()
        subprocess.run(
            [str(Path(folder) / "mcmaille"), "t"],
            cwd=place,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=3600,
        )
        used = _children() - before
        written = Path(place) / "t.imp"
        answer = written.read_text(encoding="latin-1") if written.exists() else ""
    return read_mcmaille(answer), used > LIMIT


def _children():
    """CPU seconds of the programs that were run."""
    return sum(os.times()[2:4])


def read_mcmaille(answer):
    """The suggested cell, then the list sorted by McM20, of McMaille's .imp file."""
    suggested = _rows(answer.partition("It is suggested that")[2])[:1]
    heading = "sorted by McM20" if "sorted by McM20" in answer else "sorted by Rp F.o.M."
    listed = _rows(answer.partition(heading)[2].partition("FINAL LIST")[0].partition("See for")[0])
    return (suggested + [row for row in listed if row not in suggested])[:LATTICES]


def mcmaille_log(one, folder):
    """The black-box answer that McMaille's author published with a list (its name and a b)."""
    stem = one["name"].split("/")[1]
    path = next(x for x in (Path(folder) / f"{stem}b.imp", Path(folder) / f"{stem}.imp") if x.exists())
    return read_mcmaille(path.read_text(encoding="latin-1")), False


def _rows(text):
    found = []
    for line in text.splitlines():
        match = _ROW.match(line)
        if match:
            found.append(([float(match[i]) for i in range(4, 10)], match[10]))
    return found


def _first(one):
    return list(zip(one["two_theta"], one["intensity"], strict=True))[:FIRST]


#: Conograph's parameters, as in the files of its own samples (with the quick search), on one thread.
_CONOGRAPH = {
    "IsAngleDispersion": 1,
    "ConversionParameters": "",
    "ZeroPointShiftParameter": 0.0,
    "SearchLevel": 0,
    "MaxNumberOfPeaks": "AUTO",
    "CriticalValueForLinearSum": 1.0,
    "MinPrimitiveUnitCellVolume": "AUTO",
    "MaxPrimitiveUnitCellVolume": "AUTO",
    "MaxNumberOfTwoDimTopographs": "AUTO",
    "MaxNumberOfLatticeCandidates": "AUTO",
    **{
        f"Output{name}": 1
        for name in (
            *("Triclinic", "MonoclinicP", "MonoclinicB", "OrthorhombicP", "OrthorhombicC", "OrthorhombicI"),
            *("OrthorhombicF", "TetragonalP", "TetragonalI", "Rhombohedral", "Hexagonal", "CubicP"),
            *("CubicI", "CubicF"),
        )
    },
    "Resolution": 0.03,
    "MaxNumberOfPeaksForFOM": 20,
    "MinFOM": 3.0,
    "MaxNumberOfMillerIndicesInRange": "AUTO",
    "MinNumberOfMillerIndicesInRange": "AUTO",
    "MaxUnitCellEdgeABC": 1000.0,
    "MinUnitCellEdgeABC": 0.0,
    "NumberOfThreadsToUse": 1,
    "AxisForRhombohedralSymmetry": "Hexagonal",
    "AxisForMonoclinicSymmetry": "B",
    "ThresholdOnNormM": 1.9,
    "ThresholdOnRevM": 1.0,
    "MinDistanceBetweenLatticePoints": 2.0,
}
#: Width of a peak where a list does not say it, degrees.
_WIDTH = 0.1


def conograph(one, folder):
    """Conograph (Oishi-Tomiyasu) with the parameters of its samples, all lines.

    First the solution that it selects itself, then all by the figure of merit of de Wolff.
    """
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        (place / "output").mkdir()
        settings = {**_CONOGRAPH, "WaveLength": one["wavelength"]}
        _xml(place / "list.inp.xml", "ConographParameters", settings)
        files = {
            "ControlParamFile": "list.inp.xml",
            "PeakDataFile": "list.histogramIgor",
            "OutputFile": "output/list.index.xml",
        }
        _xml(place / "cntl.inp.xml", "ConographInputFile", files)
        (place / "list.histogramIgor").write_text(_histogram(one))
        before = _children()
        subprocess.run(
            [str((Path(folder) / "Conograph.exe").resolve())],
            cwd=place,
            input=b"quit\n",
            capture_output=True,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (int(LIMIT), int(LIMIT) + 5)),
        )
        used = _children() - before
        written = place / "output" / "list.index.xml"
        answer = written.read_text(encoding="latin-1") if written.exists() else ""
    return read_conograph(answer), used > LIMIT - 1


def _xml(path, heading, values):
    rows = "\n".join(f"<{key}> {value} </{key}>" for key, value in values.items())
    text = f"<ZCodeParameters><{heading}>\n{rows}\n</{heading}></ZCodeParameters>\n"
    path.write_text(f'<?xml version="1.0" encoding="UTF-8" ?>\n{text}')


def _histogram(one):
    """A list as Conograph reads it: a pattern, which only its pictures need, and the peaks."""
    widths = one.get("fwhm") or [_WIDTH] * len(one["two_theta"])
    peaks = zip(one["two_theta"], one["intensity"], widths, strict=True)
    rows = [f"{i} {x:.5f} {max(y, 1e-6):.6g} {w:.5f} 1" for i, (x, y, w) in enumerate(peaks, start=1)]
    pattern = [f"{x:.1f} 1.0 1.0" for x in range(1, 180)]
    heading = "IGOR\nWAVES/O tth, yint, yerr\nBEGIN"
    middle = "END\nWAVES/O peak, peakpos, height, FWHM, Flag\nBEGIN"
    return "\n".join([heading, *pattern, middle, *rows, "END", ""])


def read_conograph(answer):
    """Lattices of an .index.xml file."""
    found = []
    pattern = (
        r"<(Selected)?LatticeCandidate number.*?<CrystalSystem>(.*?)</.*?<OptimizedLatticeParameters>(.*?)</"
    )
    for match in re.finditer(pattern + r".*?<FigureOfMeritWolff[^>]*>(.*?)</", answer, re.DOTALL):
        selected, system, cell, merit = match.groups()
        system = system.strip()
        centring = "R" if system.startswith("Rhombo") else "P"
        if system.endswith(")"):
            # Its monoclinic "C" lies on the axes of b unique: a base-centred lattice is C there.
            centring = {"B": "C"}.get(system[-2], system[-2])
        found.append((bool(selected), float(merit), [float(x) for x in cell.split()], centring))
    found.sort(key=lambda row: (not row[0], -row[1]))
    return [(cell, centring) for _, _, cell, centring in found][:LATTICES]


def conograph_log(one, folder):
    """The answer that comes with a sample of Conograph (1.0.0)."""
    (path,) = Path(folder).glob(f"{one['name'].split('/')[1]}/output/*.index.xml")
    return read_conograph(path.read_text(encoding="latin-1")), False


def gsas(one, folder):
    """GSAS-II's GSASIIindex (after Coelho 2003) over all Bravais lattices, first 20 lines.

    An equal share of the time for each of the 18 Bravais settings; M20 ranks.
    """
    sys.path.insert(0, str(folder))
    from GSASII import GSASIIindex

    peaks = []
    for two_theta, intensity in _first(one):
        d = one["wavelength"] / (2 * np.sin(np.radians(two_theta / 2)))
        peaks.append([two_theta, intensity, True, False, 0, 0, 0, float(d), 0.0])
    controls = [0, 0.0, 4, 25.0, 0, "P1", 1.0, 1.0, 1.0, 90.0, 90.0, 90.0, 1.0, "P 1"]
    GSASIIindex.time.time = time.process_time  # a busy machine shall not shorten its time
    started = time.process_time()
    _, _, cells = GSASIIindex.DoIndexPeaks(
        peaks, controls, [True] * 18, None, timeout=LIMIT / 18, M20_min=2.0, X20_max=None
    )
    cells = sorted(cells or [], key=lambda cell: -cell[0])[:LATTICES]
    centring = "FIPRPIPFIABCPIACPP"
    return [(cell[3:9], centring[cell[2]]) for cell in cells], time.process_time() - started > LIMIT


def rietx(one, folder):
    """rietx's index_pattern: dichotomy (as DICVOL), trial indices (as TREOR) and SVD, in its order."""
    sys.path.insert(0, str(Path(folder) / "src"))
    from rietx.indexing import engines as searches
    from rietx.indexing.workflow import index_pattern
    from rietx.schemas.indexing import PeakList

    searches.time.monotonic = time.process_time  # a busy machine shall not shorten its time
    known = {"two_theta_esd": np.array(one["error"])} if isinstance(one.get("error"), list) else {}
    peaks = PeakList.from_positions(
        np.array(one["two_theta"]), one["wavelength"], intensity=np.array(one["intensity"]), **known
    )
    started = time.process_time()
    answer = index_pattern(peaks, spec=searches.SearchSpec(total_budget_seconds=LIMIT))
    found = [(list(cell.cell), cell.centring) for cell in answer.candidates]
    return found[:LATTICES], time.process_time() - started > LIMIT


ENGINES = {
    "xtinct": xtinct,
    "xtinct20": xtinct20,
    "mcmaille": mcmaille,
    "mcmaille_log": mcmaille_log,
    "conograph": conograph,
    "conograph_log": conograph_log,
    "gsas": gsas,
    "rietx": rietx,
}
