"""Indexing engines of the league, each a function from a peak list to ranked lattices.

An engine takes a list (see lists.py) and a folder of its own program, and returns lattices as (cell (6),
centring), best first, and whether it ran out of time. Programs of others are built elsewhere; README.md says
how.
"""

import os
import re
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

    known = ListedLines(np.array(one["intensity"][:first]), one.get("error"))
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


ENGINES = {
    "xtinct": xtinct,
    "xtinct20": xtinct20,
    "mcmaille": mcmaille,
    "mcmaille_log": mcmaille_log,
    "gsas": gsas,
}
