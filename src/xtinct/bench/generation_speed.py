"""Speed, measured as ratios: baseline and own code take turns in one process.

A ratio of neighbours in time survives a busy machine where a time does not, and processor time leaves
out the turns of other processes. Every case names its
baseline; the published ULBD loop is written here from its description (Wang et al. 2025), with the
extinction test of gemmi for every hkl and one Gaussian over the full grid per line and draw.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import gemmi
import numpy as np

from xtinct.bench.cases import Case, measure
from xtinct.bench.machine import machine
from xtinct.bench.measured_speed import measured_cases
from xtinct.errors import XtinctError
from xtinct.lattices.distributions import LatticeSpec
from xtinct.lattices.metric import reciprocal_metric
from xtinct.linelists.line_lists import LineLists
from xtinct.linelists.structure_factors import structure_lines
from xtinct.linelists.ulbd_lines import UlbdLines
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.rendering import render
from xtinct.patterns.ulbd_patterns import ulbd_patterns
from xtinct.randomness import stream_key, subkeys
from xtinct.symmetry.families import CUBIC, TRIGONAL_HEXAGONAL
from xtinct.symmetry.operations import hermann_mauguin

#: The measurement of the published datasets.
INSTRUMENT = Instrument(1.5406, 5.0, 90.0, 8192, "lorentz", 0.23548)
D_STAR_MAX = 0.93
#: Half-width of the published box of hkl.
_BOX = 10
_DRAWS = 30
#: Patterns of one own round: 64 MiB, more than the caches hold.
_PATTERNS = 2048


def published_ulbd(number: int, cell: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Patterns (draws, points) by the published algorithm: loops over hkl, draws and lines."""
    operations = gemmi.find_spacegroup_by_name(hermann_mauguin(number)).operations()
    g11, g22, g33, g23, g13, g12 = reciprocal_metric(cell)[0]
    grid, sigma = INSTRUMENT.two_theta, INSTRUMENT.sigma
    positions: set[float] = set()
    for h in range(-_BOX, _BOX + 1):
        for k in range(-_BOX, _BOX + 1):
            for l in range(-_BOX, _BOX + 1):  # noqa: E741
                if h == k == l == 0 or operations.is_systematically_absent([h, k, l]):
                    continue
                d_star2 = g11 * h * h + g22 * k * k + g33 * l * l
                d_star2 += 2 * (g23 * k * l + g13 * h * l + g12 * h * k)
                sin_theta = INSTRUMENT.wavelength / 2 * d_star2**0.5
                if sin_theta < 1:
                    two_theta = float(np.degrees(2 * np.arcsin(sin_theta)))
                    if grid[0] <= two_theta <= grid[-1]:
                        positions.add(round(two_theta, 6))
    patterns = np.zeros((draws, len(grid)))
    for pattern in patterns:
        for two_theta in positions:
            theta = np.radians(two_theta / 2)
            weight = rng.uniform() / (np.sin(2 * theta) * np.sin(theta))
            pattern += weight * np.exp(-0.5 * ((grid - two_theta) / sigma) ** 2)
        pattern /= pattern.max()
    return patterns


def ulbd_cases() -> Iterable[Case]:
    """ULBD patterns of six groups, each on a lattice of its own, 30 draws each."""
    out = np.zeros((_PATTERNS, INSTRUMENT.points), dtype=np.float32)
    for family, lengths, target in ((CUBIC, (5, 15), 1500), (TRIGONAL_HEXAGONAL, (10, 15), 3500)):
        spec = LatticeSpec("continuous", lengths, count=6)
        lines = UlbdLines(family, D_STAR_MAX, spec.length_max)
        groups = lines.groups[:: len(lines.groups) // 6][:6]
        cells = spec.cells(family, 1, np.arange(6))
        repeats = _PATTERNS // (6 * _DRAWS)
        group_of, cell_of = np.tile(groups, repeats), np.tile(cells, (repeats, 1))
        keys = np.empty(len(group_of) * _DRAWS, dtype=np.uint64)
        subkeys(stream_key(1, "benchmark"), 0, keys)
        memory = out[: len(keys)].reshape(len(group_of), _DRAWS, -1)
        rng = np.random.default_rng(1)

        def baseline(groups=groups, cells=cells, rng=rng) -> int:
            for number, cell in zip(groups, cells, strict=True):
                published_ulbd(int(number), cell, _DRAWS, rng)
            return len(groups) * _DRAWS

        def ours(lines=lines, group_of=group_of, cell_of=cell_of, keys=keys, memory=memory) -> int:
            ulbd_patterns(lines, group_of, cell_of, keys.reshape(memory.shape[:2]), INSTRUMENT, memory)
            return len(keys)

        yield Case(f"ULBD {family}, pattern", "published loop", baseline, ours, target)
        if family == CUBIC:

            def fill(memory=memory) -> int:
                memory[:] = 1.0
                return memory.shape[0] * memory.shape[1]

            yield Case("ULBD cubic, pattern", "filling the same memory", fill, ours, 2.2, at_most=True)


def cddd_cases(cifs: Sequence[str]) -> Iterable[Case]:
    """Structures to merged lines and to patterns, from arrays and from CIF text, against pymatgen."""
    from pymatgen.analysis.diffraction.xrd import XRDCalculator
    from pymatgen.core import Lattice, Structure
    from pymatgen.io.cif import CifParser

    from xtinct.datasets.cddd import read_atoms

    atoms = [read_atoms(cif) for cif in cifs]
    structures = [
        Structure(Lattice.from_parameters(*cell), [gemmi.Element(int(z)).name for z in species], frac)
        for cell, species, frac, _ in atoms
    ]
    calculator = XRDCalculator(wavelength=INSTRUMENT.wavelength)
    window = (0.5, INSTRUMENT.two_theta_max)
    out = np.zeros((1, INSTRUMENT.points), dtype=np.float32)

    def line_list(atoms_of) -> LineLists:
        d_star, intensity = structure_lines(*atoms_of, d_star_max=D_STAR_MAX)
        return LineLists(np.array([0, len(d_star)]), d_star, intensity.astype(np.float32))

    def each(work: Callable[[object], object], items: Sequence[object]) -> Callable[[], int]:
        def run() -> int:
            for item in items:
                work(item)
            return len(items)

        return run

    pymatgen = each(lambda s: calculator.get_pattern(s, scaled=False, two_theta_range=window), structures)
    pymatgen_cif = each(
        lambda text: calculator.get_pattern(
            CifParser.from_str(text).parse_structures(primitive=False)[0],
            scaled=False,
            two_theta_range=window,
        ),
        cifs,
    )
    name = "pymatgen XRDCalculator, to lines"
    yield Case("CDDD, arrays to merged lines", name, pymatgen, each(line_list, atoms), 150)
    yield Case(
        "CDDD, arrays to pattern",
        name,
        pymatgen,
        each(lambda a: render(line_list(a), INSTRUMENT, out), atoms),
        250,
    )
    yield Case(
        "CDDD, CIF text to pattern",
        "pymatgen CifParser and XRDCalculator, to lines",
        pymatgen_cif,
        each(lambda text: render(line_list(read_atoms(text)), INSTRUMENT, out), cifs),
        40,
    )


def read_cifs(path: str | Path, n: int) -> list[str]:
    """`n` CIF texts of a Parquet table of structures, without those that hold unknown elements."""
    return [text for _, text in table_cifs(path, n) if _usable(text)]


def table_cifs(path: str | Path, n: int) -> list[tuple[int, str]]:
    """Rows and texts of `n` CIFs, evenly spread over the `cif` column of a Parquet table of structures."""
    from xtinct.files.parquet import open_parquet

    if not Path(path).is_file():
        raise XtinctError(
            f"{path}: no such file; name a table of structures (--structures), or run in a checkout of the "
            "project"
        )
    file = open_parquet(path)
    if "cif" not in file.schema_arrow.names:
        raise XtinctError(f"{path}: column 'cif' is missing")
    columns = [name for name in ("cif", "disordered") if name in file.schema_arrow.names]
    every = enumerate(file.read(columns).to_pylist())
    rows = [(place, row["cif"]) for place, row in every if not row.get("disordered")]
    if not rows:
        raise XtinctError(f"{path}: no structures")
    n = min(n, len(rows))
    return [rows[i * len(rows) // n] for i in range(n)]


def _usable(text: str) -> bool:
    from xtinct.datasets.cddd import read_atoms

    _, species, _, _ = read_atoms(text)
    return all(z and gemmi.Element(int(z)).it92 for z in species)


def run(structures: str | Path, *, rounds: int = 5, n_structures: int = 40) -> dict[str, object]:
    """Measure every case and return records with the machine they were taken on."""
    import warnings

    records = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen remarks on the style of CIFs
        cifs = read_cifs(structures, n_structures)
        for case in (*ulbd_cases(), *measured_cases(), *cddd_cases(cifs)):
            records.append(measure(case, rounds))
    return {
        "machine": machine(("numpy", "numba", "gemmi", "pymatgen")),
        "structures": str(structures),
        "records": records,
    }


def table(result: dict[str, object]) -> list[tuple[str, ...]]:
    """Rows of text for printing, the heading first."""
    rows = [("case", "baseline", "baseline us", "ours us", "ratio", "spread", "target", "met")]
    for r in result["records"]:
        rows.append(
            (
                r["case"],
                r["baseline"],
                f"{r['baseline_us']:,.1f}",
                f"{r['ours_us']:,.2f}",
                f"{r['ratio']:,.4g}",
                f"{r['ratio_min']:,.4g}-{r['ratio_max']:,.4g}",
                r["target"],
                "yes" if r["met"] else "no",
            )
        )
    return rows
