"""What a notebook needs, in six functions. `import xtinct` offers them without importing this file first."""

import os
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from xtinct.errors import XtinctError
from xtinct.extras import names_extra
from xtinct.linelists.line_lists import LineLists
from xtinct.patterns.default_instrument import DEFAULT_INSTRUMENT
from xtinct.patterns.instrument import Instrument
from xtinct.symmetry.families import family_of

#: Where the default configuration puts its models of the extinction class, one folder per family.
DEFAULT_MODELS = "models/ulbd"


@names_extra
def line_list(
    structure: Any,
    *,
    d_star_max: float | None = None,
    radiation: str = "xray",
    b_iso: float = 0.0,
    symprec: float = 0.01,
) -> tuple[np.ndarray, np.ndarray]:
    """Powder lines of a crystal structure.

    `structure`: CIF or POSCAR text, the path of such a file, a pymatgen Structure, a gemmi
    SmallStructure, or an ASE Atoms; deuterium and tritium are told from hydrogen in all of them. It is
    symmetrised within `symprec` (angstrom), so that hkl which the space group makes equivalent are one line.
    `d_star_max` (1/angstrom): the largest 1/d; None takes what DEFAULT_INSTRUMENT shows. `b_iso`:
    displacement factor of every atom, angstrom^2. `radiation`: xray or neutron.

    Returns d_star float64 (n,), 1/angstrom, ascending, and intensity float64 (n,): |F|^2 per
    conventional cell, summed over the hkl of the line. XtinctError if there is no structure in
    `structure`.
    """
    from xtinct.linelists.structure_factors import StructureRefusedError, structure_lines
    from xtinct.sources.given import atoms_of, standard_of

    crystal = standard_of(structure, symprec=symprec).crystal
    d_star_max = DEFAULT_INSTRUMENT.d_star_reach if d_star_max is None else d_star_max
    try:
        return structure_lines(
            crystal.cell, *atoms_of(crystal), d_star_max=d_star_max, b_iso=b_iso, radiation=radiation
        )
    except StructureRefusedError as refused:
        many = refused.reason == "too_many_reflections"
        hint = f"; ask for less than d_star_max={d_star_max:g}" if many else ""
        raise XtinctError(f"structure: {refused}{hint}") from None


@names_extra
def simulate(structure: Any, instrument: Instrument | None = None, **options: Any) -> np.ndarray:
    """Powder pattern of a crystal structure: float32 (instrument.points,), maximum 1.

    `structure` and `options` as in `line_list`; `instrument` is DEFAULT_INSTRUMENT if None, and
    `instrument.two_theta` gives the abscissa in degrees.
    """
    from xtinct.patterns.rendering import render

    instrument = instrument or DEFAULT_INSTRUMENT
    d_star, intensity = line_list(structure, **{"d_star_max": instrument.d_star_reach, **options})
    return render(_one(d_star, intensity / intensity.max()), instrument)[0]


def ulbd_patterns(
    spacegroup: int, cells: np.ndarray, draws: int, seed: int, instrument: Instrument | None = None
) -> np.ndarray:
    """Patterns of lattices under the extinction law of a space group, with random intensities.

    `cells`: float64 (n, 6) of the group's conventional metric, a b c in angstrom and angles in
    degrees. Every line that the law allows gets an intensity U(0, 1), anew for each of `draws`.
    Returns float32 (n * draws, instrument.points), the draws of a cell next to each other, maximum 1.
    """
    from xtinct.lattices.conventional import conventional_cell_errors, free_angle_range
    from xtinct.linelists.ulbd_lines import UlbdLines
    from xtinct.patterns.ulbd_patterns import ulbd_patterns as patterns
    from xtinct.randomness import stream_key

    instrument = instrument or DEFAULT_INSTRUMENT
    cells = np.asarray(cells, dtype=np.float64).reshape(-1, 6)
    family = family_of(spacegroup)
    if not len(cells) or draws < 1:
        raise XtinctError(f"ulbd_patterns: {len(cells)} cells and {draws} draws, expected at least 1 of each")
    size, memory = 4 * len(cells) * draws * instrument.points, _physical_memory()
    if size > memory:
        raise XtinctError(
            f"ulbd_patterns: {len(cells)} x {draws} patterns of {instrument.points} points take "
            f"{size / 2**30:.3g} GiB, this machine has {memory / 2**30:.3g}; ask for fewer at a time"
        )
    if not np.isfinite(cells).all() or (cells <= 0).any():
        raise XtinctError("ulbd_patterns: cell lengths and angles must be positive and finite")
    errors = conventional_cell_errors(family, cells)
    if errors.max() > 1e-6:
        raise XtinctError(
            f"ulbd_patterns: cell {cells[errors.argmax()].tolist()} is no conventional {family} cell"
        )
    lines = UlbdLines(family, instrument.d_star_reach, cells[:, :3].max(), free_angle_range(family, cells))
    keys = [
        [stream_key(seed, "ulbd", family, spacegroup, lattice, draw) for draw in range(draws)]
        for lattice in range(len(cells))
    ]
    groups = np.full(len(cells), spacegroup)
    return patterns(lines, groups, cells, keys, instrument).reshape(-1, instrument.points)


def extinction_classes(family: str, axes: str = "unlabelled") -> tuple:
    """Extinction classes of a crystal family, ordered by their lowest member.

    `family`: a crystal family, a crystal system, "all", or a space group by number or Hermann-Mauguin
    symbol ("Pnma", "62"), of which the class that it is in is given. `axes`: "unlabelled", as in a powder
    pattern, or "labelled", where the cell's axes are known.

    Returns a tuple of `ExtinctionClass`, each with `symbol`, `family` and `members`. XtinctError for any
    other family or axes.
    """
    from xtinct.symmetry.classes import extinction_classes as classes

    return classes(family, axes)


def ceilings(
    family: str,
    target: str = "spacegroup",
    ks: Iterable[int] = (1, 2, 3, 4, 5),
    prior: Mapping[int, Any] | None = None,
) -> dict[int, Fraction]:
    """The best top-k accuracy that the extinction laws allow, exactly.

    `family`: a crystal family, a crystal system, or "all". `target`: what is to be named (spacegroup,
    extinction_class, crystal_system, bravais_lattice, laue_class or point_group). `prior`: weight of each
    space group; None weighs all groups of the family equally.

    Returns {k: fraction} for each of `ks`. XtinctError for an unknown family or target.
    """
    from xtinct.ceiling.extinction import ceilings as exact

    return exact(family, target, ks, prior)


@names_extra
def predict(
    two_theta: np.ndarray,
    intensity: np.ndarray,
    wavelength: float,
    models: str | Path | Sequence[str | Path] | None = None,
    *,
    coverage: float = 0.95,
    subtract_background: bool = False,
    fill_missing: bool = False,
    any_width: bool = False,
    prior: Mapping[int, Any] | None = None,
) -> dict[str, dict[str, list]]:
    """Extinction classes and space groups of a pattern, ranked by probability.

    `two_theta` (degrees, ascending) and `intensity`, float (n,): one pattern measured with
    `wavelength` (angstrom), the background removed or to be subtracted here (`subtract_background`).
    It is brought to the grid of the model by equal sin(theta) / wavelength, and must cover that grid;
    `fill_missing` takes what is missing as empty. Peaks narrower than those that the model was trained
    for are broadened to them; wider ones are an XtinctError, and answered all the same with `any_width`.
    A pattern without any peak (constant, noise, a glass) is an XtinctError.
    `prior`: weights of space groups that take the place of their frequencies in training, by Bayes' rule,
    over all groups and classes of a model (None: classes as frequent as in training, shared evenly among
    their groups). `models`: folders of trained models, or a folder that holds some; None means
    DEFAULT_MODELS. There is one model per crystal family, and each answers as if the pattern were of its
    family. Whether it is, the positions of the lines are asked (`xtinct.observer.exact.explaining`): where
    they speak against the family, or cannot be checked, probabilities stand without a set.

    Returns {family: {"condition": text, "lattice": dict, "classes": [(symbol, probability), ...],
    "groups": [(number, probability), ...], "space_groups": [dict, ...], "set": [symbol, ...],
    "warnings": [text, ...]}}: the five most probable of each, under the condition; "space_groups" are the
    groups with number, symbol and probability; "lattice" says whether the family's lattice explains the lines
    (`explains`), how many of how many, the best cell (angstrom, degrees) and the family that explains them
    (`family`, None: none of those that are checked). "set": the classes that hold the true one with
    probability `coverage` among patterns like those that the model was calibrated on. It may be empty: then
    the model is undecided. There is none where the pattern does not look like those, without a calibration,
    and where `prior` changes the probabilities of classes. Every warning has
    one cause.
    """
    from xtinct.learning.measured_patterns import Asked, MeasuredPattern, answer_of
    from xtinct.learning.predictor import Predictor
    from xtinct.measurements.preparation import checked_pattern, without_background
    from xtinct.measurements.strong_peaks import require_peaks, strong_lines
    from xtinct.observer.exact.explaining import best_families

    two_theta, intensity = checked_pattern(two_theta, intensity, wavelength)
    folders = _model_folders(DEFAULT_MODELS if models is None else models)
    require_peaks(two_theta, intensity)
    explained, best = best_families(strong_lines(two_theta, intensity), wavelength)
    bare = without_background(two_theta, intensity) if subtract_background else intensity
    measured = MeasuredPattern(two_theta, bare, intensity, wavelength, explained, best)
    asked = Asked(coverage, fill_missing, any_width, prior)
    answers: dict[str, dict[str, list]] = {}
    for folder in folders:
        predictor = Predictor(folder)
        if predictor.family in answers:
            raise XtinctError(f"{folder}: a second model for the {predictor.family} family; name one of each")
        answers[predictor.family] = answer_of(predictor, measured, asked)
    return answers


def _model_folders(models: str | Path | Sequence[str | Path]) -> list[Path]:
    found = []
    for path in map(Path, [models] if isinstance(models, str | Path) else models):
        inside = (
            [path] if (path / "card.json").is_file() else sorted(c.parent for c in path.rglob("card.json"))
        )
        if not inside:
            raise XtinctError(
                f"{path}: holds no trained model (no card.json); run make all, or name --models "
                "(`xtinct index` and `xtinct identify` need none)"
            )
        found += inside
    return found


def _physical_memory() -> int:
    """Bytes of memory of this machine; without end where it cannot be told."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 1 << 62


def _one(d_star: np.ndarray, intensity: np.ndarray) -> LineLists:
    return LineLists(np.array([0, len(d_star)], dtype=np.int64), d_star, intensity.astype(np.float32))
