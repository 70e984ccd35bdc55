"""Gather peak lists with known lattices into one JSON file.

    python benchmarks/indexing/lists.py mp100 CIFS/ mp100.json
    python benchmarks/indexing/lists.py mcmaille TESTS/ mcmaille.json
    python benchmarks/indexing/lists.py conograph SAMPLES/ conograph.json
    python benchmarks/indexing/lists.py mli LISTS/ mli.json
    python benchmarks/indexing/lists.py bethanechol bethanechol_indexing.json bethanechol.json
    python benchmarks/indexing/lists.py measured PATTERNS.parquet measured.json --source NAME
    python benchmarks/indexing/lists.py simulated SIMULATED.parquet simulated.json [--perturbed KIND]

CIFS: the folder data/MP-100samples-benchmark of pxrd-cell-indexer; TESTS: the .dat files that come with
McMaille; SAMPLES: the folder Conograph/src/sample of Conograph; LISTS: the folder data/experimental_data of
MLI; bethanechol_indexing.json: tests/data of rietx, which transcribes Bergmann, Le Bail, Shirley and Zlokazov
(2004, Z. Kristallogr. 219, 783); PATTERNS: measured patterns as for benchmarks/observer/evaluate.py, whose
peaks the observer finds; SIMULATED: what benchmarks/observer/simulated.py writes. Lattices that these do not
state are in truth.csv. A list has name, wavelength (angstrom), two_theta (degrees), intensity, and of the
true lattice: cell (6) and centring of the conventional cell, family; where they are known error and fwhm of
the lines (degrees).
"""

import argparse
import csv
import json
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from xtinct.randomness import stream_key
from xtinct.symmetry.families import family_of

#: What AIdex-R2 (Shu et al. 2026) perturbs lists by: degrees, degrees, lines, lines.
ZERO, NOISE, MISSING, FOREIGN = 0.30, 0.15, 4, 2
#: What an engine is told of perturbed lists: error of lines and spread of the zero, degrees.
_WIDE, _FAR = {"error": NOISE / 3**0.5}, {"spread": ZERO / 3**0.5}
KNOWN = {"zero": _FAR, "noise": _WIDE, "missing": {}, "foreign": {}, "all": {**_WIDE, **_FAR}}
#: A list of a simulated pattern: lines above this share of the strongest, and at most as many.
FAINTEST, LONGEST = 0.01, 40
MCMAILLE = {
    "al2o3": "al2o3",
    "test8": "cdwo4",
    "test9": "benactyzine",
    "cim": "cimetidine",
    "dicvol1": "bto",
    "dicvol2": "s15-14-t",
    "nac": "nac",
    "test1": "cd3oh5no3",
    "test2": "sr2cr2o7",
    "test3": "nh4b5o8",
    "test4": "tutton-ni",
    "test5": "nh42s2o3",
    "test6": "k2s2o8",
    "test7": "large-cubic",
    "y2o3": "y2o3",
}


def truths():
    """Name -> true lattice, of truth.csv."""
    with (Path(__file__).parent / "truth.csv").open(encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    axes = ("a", "b", "c", "alpha", "beta", "gamma")
    return {row["list"]: {"cell": [float(row[x]) for x in axes], "centring": row["centring"]} for row in rows}


def family(cell):
    a, b, c, alpha, beta, gamma = cell
    if alpha == beta == 90 and gamma == 120:
        return "trigonal-hexagonal"
    if not alpha == beta == gamma == 90:
        return "monoclinic" if alpha == gamma == 90 else "triclinic"
    return "cubic" if a == b == c else "tetragonal" if a == b else "orthorhombic"


def listed(name, wavelength, two_theta, intensity, truth):
    order = np.argsort(two_theta, kind="stable")
    return {
        "name": name,
        "wavelength": wavelength,
        "two_theta": [round(float(two_theta[i]), 5) for i in order],
        "intensity": [round(float(intensity[i]), 4) for i in order],
        "family": family(truth["cell"]),
        **truth,
    }


def mp100(folder, _):
    """The lists that pxrd-cell-indexer makes: pymatgen's lines of 5 % and more from 5 to 80 degrees."""
    from pymatgen.analysis.diffraction.xrd import XRDCalculator
    from pymatgen.core import Structure
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

    for path in sorted(Path(folder).glob("*.cif")):
        analyzer = SpacegroupAnalyzer(Structure.from_file(path), symprec=0.01)
        standard = analyzer.get_conventional_standard_structure()
        # A pattern of the reduced cell, as theirs.
        pattern = XRDCalculator().get_pattern(standard.get_reduced_structure(), two_theta_range=(5, 80))
        strong = pattern.y >= 5
        truth = {"cell": list(analyzer.find_primitive().lattice.parameters), "centring": "P"}
        one = listed(f"mp100/{path.stem}", 1.54184, pattern.x[strong], pattern.y[strong], truth)
        yield {**one, "family": family_of(analyzer.get_space_group_number())}


def numbers(line):
    """Numbers that a line begins with; decimal commas are read."""
    found = []
    for word in line.split():
        if not re.fullmatch(r"[-+]?\d+([.,]\d*)?", word):
            break
        found.append(float(word.replace(",", ".")))
    return found


def mcmaille(folder, _):
    """Lines of each .dat file after the couple's heading; the wavelength is the first number of the file."""
    known, seen = truths(), set()
    for path in sorted(Path(folder).glob("*.dat")):
        stem = path.stem.lower()
        rows = path.read_text(encoding="latin-1").splitlines()[1:]
        values = [found for row in rows if not row.startswith("!") and len(found := numbers(row)) > 1]
        wavelength = next(found[0] for found in values if 1 < found[0] < 2)
        heading = next(
            (i for i, row in enumerate(rows) if re.match(r"!\s*(couples|2-theta|2theta)", row, re.I)), 0
        )
        lines = [found for row in rows[heading + 1 :] if len(found := numbers(row)) > 1]
        name = MCMAILLE.get(stem) or MCMAILLE[stem.removesuffix("b")]
        two_theta, intensity = np.array([found[:2] for found in lines]).T
        if tuple(two_theta) in seen:
            continue  # the same lines for another way of searching
        seen.add(tuple(two_theta))
        yield listed(f"mcmaille/{stem}", wavelength, two_theta, intensity, known[f"mcmaille/{name}"])


def conograph(folder, _):
    """Peaks flagged 1 of the seven samples; times of flight become 2theta of 1 angstrom."""
    known = truths()
    for path in sorted(Path(folder).glob("sample*/*_pks.histogramIgor")):
        settings = next(x for x in path.parent.glob("*.inp.xml") if x.name != "cntl.inp.xml").read_text()

        def told(key, settings=settings):
            return [float(x) for x in re.search(rf"<{key}>([^<]*)</{key}>", settings)[1].split()]

        text = path.read_text(encoding="latin-1")
        rows = [row.split() for row in text[text.index("peakpos") :].splitlines()]
        peaks = np.array([[float(x) for x in row] for row in rows if len(row) == 5 and row[0].isdigit()])
        peaks = peaks[peaks[:, 4] == 1]
        wavelength, two_theta = told("WaveLength")[0], peaks[:, 1]
        if told("IsAngleDispersion") == [0]:
            constant, linear, square = told("ConversionParameters")
            root = np.sqrt(linear**2 - 4 * square * (constant - two_theta))
            d = (root - linear) / (2 * square)
            wavelength = 1.0
            peaks, d = peaks[d > 0.52], d[d > 0.52]
            two_theta = 2 * np.degrees(np.arcsin(wavelength / (2 * d)))
        name = f"conograph/{path.parent.name}"
        yield listed(name, wavelength, two_theta, peaks[:, 2], known[name])


def mli(folder, _):
    """Measured spacings that MLI publishes, as 2theta of Cu K-alpha1; lists without a cell are left out."""
    for path in sorted(Path(folder).glob("*_peak_list.json")):
        table = {key: value["0"] for key, value in json.loads(path.read_text()).items()}
        if not table["centering"]:
            print(f"{path.name}: no cell, left out")
            continue
        d = np.array(table["d_spacing_all"])
        two_theta = 2 * np.degrees(np.arcsin(1.5405929 / (2 * d)))
        truth = {"cell": table["unit_cell"], "centring": "C" if table["centering"] == "base" else "P"}
        name = path.name.removesuffix("_peak_list.json")
        yield listed(f"mli/{name}", 1.5405929, two_theta, np.ones(len(d)), truth)


def bethanechol(path, _):
    """The ten lists of bethanechol chloride, positions alone: shifted zeros, and lines of impurities."""
    table = json.loads(Path(path).read_text(encoding="utf-8"))
    answer = table["answer"]
    truth = {"cell": [answer[x] for x in ("a", "b", "c", "alpha", "beta", "gamma")], "centring": "P"}
    for name, one in table["sets"].items():
        yield listed(
            f"bethanechol/{name}", one["wavelength"], one["two_theta"], np.ones(len(one["two_theta"])), truth
        )


def measured(path, options):
    """Peaks of measured patterns, as the observer hands them to its search; positions of K-alpha1."""
    from xtinct.errors import XtinctError
    from xtinct.observer.asking import as_measurement
    from xtinct.observer.observe import peaks_of
    from xtinct.radiation.tubes import radiation_of

    rows = [
        r for r in pq.read_table(path).to_pylist() if r["source"] == options.laboratory and r["a"] is not None
    ]
    for row in {"all": rows, "even": rows[::2], "odd": rows[1::2]}[options.rows][: options.most]:
        radiation = radiation_of(row["wavelength"] or "Cu")
        points = (np.array(row[x], dtype=np.float64) for x in ("two_theta", "intensity"))
        try:
            peaks = peaks_of(as_measurement(*points), radiation).peaks
        except XtinctError as error:
            print(f"{row['id']}: {error}")
            continue
        cell = [row[x] for x in ("a", "b", "c", "alpha", "beta", "gamma")]
        truth = {"cell": cell, "centring": centring_of(int(row["spacegroup_number"]))}
        one = listed(f"measured/{row['id']}", peaks.wavelength, peaks.two_theta, peaks.area, truth)
        known = {"error": peaks.error.round(5).tolist(), "fwhm": peaks.fwhm.round(4).tolist()}
        yield {**one, **known, "family": family_of(int(row["spacegroup_number"]))}


def simulated(path, options):
    """Lines of simulated measurements' crystals, as they are or as AIdex-R2 perturbs them."""
    for row in pq.read_table(path).to_pylist():
        setup = json.loads(row["settings"])
        d_star, height = np.array(row["d_star"]), np.array(row["height"])
        angle = 2 * np.degrees(np.arcsin(np.minimum(d_star * row["wavelength"] / 2, 1)))
        seen = (height >= FAINTEST * height.max()) & (angle >= setup["first"]) & (angle <= setup["last"])
        angle, height = angle[seen][:LONGEST], height[seen][:LONGEST]
        cell = [row[x] for x in ("a", "b", "c", "alpha", "beta", "gamma")]
        truth = {"cell": cell, "centring": centring_of(row["spacegroup_number"])}
        kind, name = options.perturbed, f"simulated/{row['seed']}"
        known = {}
        if kind:
            name = f"{kind}/{row['seed']}"
            random = np.random.default_rng(int(stream_key(options.seed, "perturbed", row["seed"])))
            angle, height = perturbed(angle, height, kind, random)
            known = KNOWN[kind]
        one = listed(name, row["wavelength"], angle, height, truth)
        yield {**one, **known, "family": family_of(row["spacegroup_number"])}


def perturbed(angle, height, kind, random):
    """Zero and noise uniform within their ranges, lines missing at random, foreign lines of random height."""
    low, high = angle[0], angle[-1]
    keep = np.sort(random.permutation(len(angle))[min(MISSING, max(0, len(angle) - 3)) :])
    zero, noise = random.uniform(-ZERO, ZERO), random.uniform(-NOISE, NOISE, len(angle))
    foreign, added = random.uniform(low, high, FOREIGN), random.choice(height, FOREIGN)
    if kind in ("zero", "all"):
        angle = angle + zero
    if kind in ("noise", "all"):
        angle = angle + noise
    if kind in ("missing", "all"):
        angle, height = angle[keep], height[keep]
    if kind in ("foreign", "all"):
        angle, height = np.concatenate([angle, foreign]), np.concatenate([height, added])
    return angle, height


def centring_of(number):
    import gemmi

    symbol = gemmi.find_spacegroup_by_number(number).hm[0]
    return "P" if symbol == "H" else symbol


SOURCES = {one.__name__: one for one in (mp100, mcmaille, conograph, mli, bethanechol, measured, simulated)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source", choices=SOURCES)
    parser.add_argument("path")
    parser.add_argument("out")
    parser.add_argument("--perturbed", choices=KNOWN)
    parser.add_argument("--source", dest="laboratory", help="laboratory of measured patterns")
    parser.add_argument("--rows", choices=["all", "even", "odd"], default="all", help="of that laboratory")
    parser.add_argument("--most", type=int, help="patterns of it")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    lists = list(SOURCES[options.source](options.path, options))
    rows = ",\n".join(json.dumps(one) for one in lists)
    Path(options.out).write_text(f"[\n{rows}\n]\n", encoding="utf-8")
    print(f"{len(lists)} lists, {sum(len(one['two_theta']) for one in lists)} lines")


if __name__ == "__main__":
    main()
