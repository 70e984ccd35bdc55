"""What a notebook needs, in six functions. `import xtinct` offers them without importing this file first."""

import os
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xtinct.errors import XtinctError
from xtinct.extras import names_extra
from xtinct.linelists.line_lists import LineLists
from xtinct.patterns.default_instrument import DEFAULT_INSTRUMENT
from xtinct.patterns.instrument import Instrument
from xtinct.symmetry.families import family_of

if TYPE_CHECKING:
    from xtinct.joint.identification import Identification
    from xtinct.observer.asking import Pattern, Wavelength
    from xtinct.radiation.tubes import Radiation

#: Settings of `predict` without models, and with them.
_WITHOUT_MODELS = frozenset({"database", "elements", "family", "cell", "centring", "prior"})
_WITH_MODELS = frozenset({"coverage", "subtract_background", "fill_missing", "any_width", "prior"})


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
    if not isinstance(instrument, Instrument):
        raise XtinctError(
            f"instrument: {instrument!r}, expected an xtinct.Instrument, as "
            "xtinct.Instrument(wavelength=1.5406, two_theta_min=10, two_theta_max=90, points=4001, ...)"
        )
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
    pattern: "Pattern",
    wavelength: "Wavelength" = None,
    *,
    models: str | Path | Sequence[str | Path] | None = None,
    peaks: bool = False,
    scan: str | None = None,
    axis: str | None = None,
    **told: Any,
) -> "Identification | dict[str, dict[str, Any]]":
    """The symmetry of a measured powder pattern, of any crystal family.

    pattern     a file of any format of powder diffraction, a Measurement or PeakTable of
                `xtinct.measurements`, or two float (n,) arrays: 2theta in degrees, and intensity
    wavelength  angstrom, a name (CuKa), or the two of a doublet; None: what the file says
    models      None: lattice, absences and known structures answer together. Folders of trained models, or a
                folder that holds some: these answer
    peaks       whether the file is a list of peaks; scan, which of several scans
    axis        what the positions of a file are, where it does not say it: 2theta, theta, d, q (1/angstrom),
                q_nm (1/nm), sin(theta)/lambda or 1/d
    told        without models: database, elements, family, cell, centring, prior; with models: coverage,
                subtract_background, fill_missing, any_width, prior

    **Without models** the answer is an `Identification`: crystal systems, families, Bravais lattices,
    extinction classes and space groups with probabilities that agree, a set of classes, the cell with
    uncertainties, similar known structures, and who said what. Print it, or see its attributes.

    database    table of known structures (`xtinct.recognise`), or "none". None: that of XTINCT_DATABASE; else
                that of a build in this folder; else those that come with xtinct
    elements    symbols ("Si,O") that the sample may have; hydrogen always may
    family, cell, centring, prior    what is known of the crystal, as `xtinct.index` takes it

    **With models** the answer is {family: {"condition": text, "lattice": dict, "classes": [(symbol,
    probability), ...], "groups": [(number, probability), ...], "space_groups": [dict, ...], "set": [symbol,
    ...], "warnings": [text, ...]}}. There is one model for each crystal family, and each answers as if the
    pattern were of its family; the five most probable of each are told. The pattern is brought to the grid of
    the model by equal sin(theta) / wavelength, and must cover that grid (`fill_missing` takes what is missing
    as empty). Its background has been removed, or is here (`subtract_background`). Peaks narrower than those
    that the model was trained for are broadened to them; wider ones are an XtinctError, and answered all the
    same with `any_width`.

    "lattice" says whether the family's lattice explains the lines (`explains`), how many of how many, the
    best cell (angstrom, degrees) and the family that explains them (`family`, None: none of those that are
    checked). Where the lines speak against the family, or cannot be checked, probabilities stand without a
    set. "set": the classes that hold the true one with probability `coverage` among patterns like those that
    the model was calibrated on. It may be empty: then the model is undecided. There is none where the pattern
    does not look like those, without a calibration, and where `prior` changes the probabilities of classes
    (models of crystal systems). `prior`: weights of space groups that take the place of their frequencies in
    training, by Bayes' rule, over all groups and classes of a model (None: classes as frequent as in
    training, shared evenly among their groups). Every warning has one cause.

    XtinctError where there is nothing to be read, where the wavelength is not known, and for a pattern
    without any peak where models are asked.
    """
    _check_settings(told, models is not None)
    if models is None:
        from xtinct.joint.identifying import identify

        return identify(pattern, wavelength, peaks=peaks, scan=scan, axis=axis, **told)

    # torch takes longer to load than most patterns to answer.
    from xtinct.ceiling.priors import read_prior
    from xtinct.learning.measured_patterns import Asked
    from xtinct.learning.model_answers import answers_of_models

    if isinstance(told.get("prior"), str | Path):
        told["prior"] = read_prior(told["prior"])
    if peaks:
        raise XtinctError("trained models read profiles, not lists of peaks; ask without models")
    return answers_of_models(*_profile(pattern, wavelength, scan, axis), models, Asked(**told))


def _check_settings(told: Mapping[str, Any], models: bool) -> None:
    """XtinctError for a setting of `predict` that is unknown, or that the method asked does not have."""
    known = {False: _WITHOUT_MODELS, True: _WITH_MODELS}
    for name in told:
        if name in known[models]:
            continue
        if name in known[not models]:
            when = (
                "only where no models are named"
                if models
                else "for trained models; name their folder (--models)"
            )
            raise XtinctError(f"{name}: this is {when}")
        names = sorted(known[models] | {"wavelength", "models", "peaks", "scan", "axis"})
        raise XtinctError(f"{name}: predict has no such setting; it has {', '.join(names)}")


def _profile(
    pattern: "Pattern", wavelength: "Wavelength", scan: str | None, axis: str | None = None
) -> tuple[np.ndarray, np.ndarray, "Radiation"]:
    """2theta (degrees, (n,)), intensity (n,) and radiation (told, or the file's) of a profile.

    A number that is told is one wavelength, also the mean of a doublet.
    """
    from xtinct.measurements import Measurement, Radiation, radiation_of
    from xtinct.observer.asking import read

    try:
        # The range of the pattern tells more than the number alone which unit it has.
        told = Radiation(float(wavelength))
    except (TypeError, ValueError):
        told = None if wavelength is None else radiation_of(wavelength)
    if isinstance(pattern, tuple | list):
        if told is None:
            raise XtinctError("pattern: the wavelength is not known; tell it (wavelength)")
        return *pattern, told
    found = read(pattern, wavelength, scan=scan, axis=axis)
    if not isinstance(found, Measurement):
        raise XtinctError(f"{found.name or 'pattern'}: a list of {len(found.d)} peaks, expected a profile")
    if found.radiation is None and wavelength is None:
        raise XtinctError(
            f"{found.name or 'pattern'}: does not say its wavelength; tell it with --wavelength"
        )
    return found.two_theta, found.intensity, told or found.radiation


def _physical_memory() -> int:
    """Bytes of memory of this machine; without end where it cannot be told."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 1 << 62


def _one(d_star: np.ndarray, intensity: np.ndarray) -> LineLists:
    return LineLists(np.array([0, len(d_star)], dtype=np.int64), d_star, intensity.astype(np.float32))
