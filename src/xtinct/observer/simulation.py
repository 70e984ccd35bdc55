"""Simulated measurements of crystals, with what laboratories do to their patterns, to calibrate the observer.

A crystal gives its lines with structure factors; a `Setup` drawn from `Settings` says how it was measured:
tube, range, widths, shifts, texture, background, counts, foreign lines, and what was done to the file
afterwards. Counts are Poisson. The observer's own profile functions draw the peaks, so no pattern of these
tests those.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator
from pybaselines import Baseline
from scipy.ndimage import uniform_filter1d
from scipy.signal import savgol_filter

from xtinct.errors import XtinctError
from xtinct.linelists.gemmi_tables import dispersion
from xtinct.linelists.structure_factors import StructureRefusedError, structure_lines
from xtinct.observer.peaks import peak_shapes
from xtinct.observer.peaks.peak_shapes import Grid, Profile
from xtinct.patterns.lorentz import geometric_factor, polarisation_of
from xtinct.radiation.anodes import ANODES, TUNGSTEN_L_ALPHA
from xtinct.radiation.tubes import Radiation
from xtinct.randomness import stream_key
from xtinct.sources.given import atoms_of, standard_of
from xtinct.structures.labels import reduced_formula
from xtinct.structures.standard import Standard

#: Tails of peaks are followed this many FWHM: a Lorentzian has fallen to 0.04 %.
_REACH = 25.0
#: 2theta, degree, of the reflection (002) of a graphite monochromator for copper.
_GRAPHITE = 26.6
#: Directions that crystallites prefer: the poles of simple habits.
_POLES = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1))
_STEPS = (0.01, 0.013, 0.0167, 0.02, 0.02, 0.0263, 0.03, 0.04)
#: Degrees beyond the range whose lines still reach in.
_MARGIN = 3.0


@dataclass(frozen=True)
class Settings:
    """What setups are drawn from: ranges (log-uniform where the numbers span decades) and shares of patterns.

    anodes            tubes, with equal shares
    monochromatic     share with K-alpha1 alone
    first, last, steps    range of 2theta and its steps, degree
    fwhm              at 40 degrees, degree
    counts            of the highest peak above its background
    background        of the level between peaks, in units of the highest peak
    shift             mean and standard deviation of observed minus true 2theta at low angle, degree
    textured, r       share with preferred orientation, and March's r
    foreign_lines, second_phase, ghosts    shares of patterns with them
    foreign, ghost    their height, in units of the highest peak
    processed         share of patterns that were smoothed, resampled, scaled and so on
    uneven            most that the widths of lines scatter, as a share: strain differs with direction
    """

    anodes: tuple[str, ...] = ("Cu",)
    monochromatic: float = 0.15
    first: tuple[float, float] = (3.0, 15.0)
    last: tuple[float, float] = (60.0, 90.0)
    steps: tuple[float, ...] = _STEPS
    fwhm: tuple[float, float] = (0.05, 0.3)
    counts: tuple[float, float] = (50.0, 100_000.0)
    background: tuple[float, float] = (0.003, 0.4)
    shift: tuple[float, float] = (0.04, 0.05)
    textured: float = 0.5
    r: tuple[float, float] = (0.5, 1.6)
    foreign_lines: float = 0.25
    second_phase: float = 0.15
    foreign: tuple[float, float] = (0.01, 0.1)
    ghosts: float = 0.15
    ghost: tuple[float, float] = (0.005, 0.02)
    processed: float = 1 / 3
    uneven: float = 0.0


class Background(NamedTuple):
    """Background in units of the highest peak: `level` times a polynomial and air scatter, and a hump.

    chebyshev (3,), terms 1 to 3 relative to the level; air: rise at the first point, in levels, falling over
    5 degrees; hump: height, centre and FWHM (degree)
    """

    level: float
    chebyshev: tuple[float, float, float]
    air: float
    hump: tuple[float, float, float]


class Processing(NamedTuple):
    """What was done to the counts, in this order; None, 0 or False: not done.

    smoothed   "savitzky-golay" or "moving-average", over `window` points
    resampled  new step, degree
    subtracted an estimated background was taken off; clipped: negative intensities set to 0
    highest    the highest intensity was scaled to this, and all rounded to `decimals`
    """

    smoothed: str | None = None
    window: int = 0
    resampled: float = 0.0
    subtracted: bool = False
    clipped: bool = False
    highest: float = 0.0
    decimals: int | None = None


@dataclass(frozen=True)
class Setup:
    """How one simulated pattern was measured; degrees, angstrom, intensities in units of the highest peak.

    ratio is K-alpha2's true share (0: none), while files tell a half. grain: relative scatter of intensities,
    as few crystallites give. foreign: 2theta of the first wavelength and height of foreign lines.
    second_phase: height of its highest peak, 0 without. beta, tungsten: height of these ghosts.
    uneven: relative scatter of the lines' widths.
    """

    anode: str
    ratio: float
    first: float
    last: float
    step: float
    monochromator: float
    profile: Profile
    b_iso: float
    pole: tuple[int, int, int]
    r: float
    grain: float
    counts: float
    background: Background
    foreign: tuple[tuple[float, float], ...]
    second_phase: float
    beta: float
    tungsten: float
    processing: Processing
    uneven: float = 0.0


@dataclass(frozen=True)
class Truth:
    """What a simulated pattern shows.

    number, cell (6,), formula   space group, conventional cell (angstrom, degrees) and formula of the crystal
    setup                        how it was measured
    d_star, height               float64 (m,): its lines, 1/angstrom ascending, and their peaks' areas in the
                                 pattern, in units of the strongest
    """

    number: int
    cell: np.ndarray
    formula: str
    setup: Setup
    d_star: np.ndarray
    height: np.ndarray


class Simulation(NamedTuple):
    """A simulated pattern as a file has it: float64 (n,) degrees and intensity, and the wavelengths told."""

    two_theta: np.ndarray
    intensity: np.ndarray
    radiation: Radiation
    truth: Truth


def simulate_measurement(
    structure: Any, seed: int, settings: Settings | None = None, *, second: Any = None
) -> Simulation:
    """A measured pattern of `structure` as a laboratory might have recorded it; the same for the same `seed`.

    `structure`: CIF or POSCAR text, a path, pymatgen or gemmi structure, or a `Standard`; `second` likewise,
    the other phase of the patterns that have one (without it they have foreign lines). XtinctError for a
    structure that cannot be used, or one without a line in the range.
    """
    crystal = _standard(structure)
    setup = draw_setup(seed, settings or Settings(), second_phase=second is not None)
    other = _standard(second) if second is not None and setup.second_phase else None
    return measure(crystal, setup, seed, second=other)


def _standard(structure: Any) -> Standard:
    return structure if isinstance(structure, Standard) else standard_of(structure)


def draw_setup(seed: int, settings: Settings, *, second_phase: bool = False) -> Setup:
    """The setup of pattern `seed`; every part has random numbers of its own."""
    optics, sample, other = (_random(seed, part) for part in ("optics", "sample", "foreign"))
    step = float(optics.choice(settings.steps))
    first, last = float(optics.uniform(*settings.first)), float(optics.uniform(*settings.last))
    anode = str(optics.choice(settings.anodes))
    ratio = float(optics.uniform(0.46, 0.52)) if optics.random() >= settings.monochromatic else 0.0
    textured = sample.random() < settings.textured
    pole, r = _POLES[sample.integers(len(_POLES))], _decades(sample, settings.r)
    foreign = other.random()
    lines = ()
    if foreign < settings.foreign_lines or (foreign < settings.foreign_lines + settings.second_phase):
        lines = tuple(
            (float(other.uniform(first, last)), _decades(other, settings.foreign))
            for _ in range(other.integers(1, 4))
        )
    phase = second_phase and foreign >= settings.foreign_lines and bool(lines)
    return Setup(
        anode=anode,
        ratio=ratio,
        first=first,
        last=last,
        step=step,
        monochromator=_GRAPHITE if optics.random() < 0.5 else 0.0,
        profile=_profile(optics, settings),
        b_iso=_decades(sample, (0.2, 2.0)),
        pole=pole,
        r=r if textured else 1.0,
        grain=float(sample.uniform(0.0, 0.1)),
        counts=_decades(optics, settings.counts),
        background=_background(_random(seed, "background"), settings),
        foreign=() if phase else lines,
        second_phase=_decades(other, settings.foreign) if phase else 0.0,
        # A line that is not filtered out; of a single wavelength nothing else is left.
        beta=_decades(other, settings.ghost) if other.random() < settings.ghosts and ratio else 0.0,
        tungsten=_decades(other, settings.ghost) if other.random() < settings.ghosts / 2 and ratio else 0.0,
        processing=_processing(_random(seed, "processing"), settings, step),
        uneven=float(_random(seed, "uneven").uniform(0.0, settings.uneven)),
    )


def _random(seed: int, part: str) -> Generator:
    return np.random.default_rng(int(stream_key(seed, "measurement", part)))


def _decades(random: Generator, limits: tuple[float, float]) -> float:
    return math.exp(random.uniform(math.log(limits[0]), math.log(limits[1])))


def _profile(random: Generator, settings: Settings) -> Profile:
    """Caglioti's widths by the FWHM at 40 degrees, its growth to 80 degrees, and the dip between."""
    fwhm, growth = _decades(random, settings.fwhm), random.uniform(1.0, 1.8)
    near, far = math.tan(math.radians(20)), math.tan(math.radians(40))
    v = -random.uniform(0.0, 0.5)
    u = (growth**2 - 1 - v * (far - near)) / (far**2 - near**2)
    w = 1 - v * near - u * near**2
    mean, deviation = settings.shift
    return Profile(
        zero=float(random.normal(0.3 * mean, 0.45 * deviation)),
        displacement=float(random.normal(0.7 * mean, 0.9 * deviation)),
        W=w * fwhm**2,
        V=v * fwhm**2,
        U=u * fwhm**2,
        eta0=float(random.uniform(0.1, 0.9)),
        eta1=float(random.uniform(-0.1, 0.3)),
        asymmetry=float(random.uniform(0.0, 0.08)) if random.random() < 0.7 else 0.0,
    )


def _background(random: Generator, settings: Settings) -> Background:
    terms = random.uniform(-0.3, 0.3, 3)
    hump = (_decades(random, (0.02, 0.3)), float(random.uniform(15, 35)), float(random.uniform(6, 15)))
    return Background(
        level=_decades(random, settings.background),
        chebyshev=tuple(terms.tolist()),
        air=float(random.uniform(0, 3)) if random.random() < 0.5 else 0.0,
        hump=hump if random.random() < 0.2 else (0.0, *hump[1:]),
    )


def _processing(random: Generator, settings: Settings, step: float) -> Processing:
    """One or more of the steps for the share that is processed, none for the others."""
    touched = random.random() < settings.processed
    method = str(random.choice(["savitzky-golay", "moving-average"]))
    window = 2 * int(random.integers(2, 7) if method == "savitzky-golay" else random.integers(1, 4)) + 1
    new_step = float(random.choice([x for x in (0.01, 0.015, 0.02, 0.03) if x != step]))
    highest, decimals = ((10_000.0, 0), (100.0, 2), (100.0, 1), (100.0, 0))[random.integers(4)]
    smoothed, resampled, subtracted, clipped, scaled = random.random(5) < (0.6, 0.4, 0.4, 0.7, 0.6)
    if not touched:
        return Processing()
    if not (smoothed or resampled or subtracted):
        scaled = True
    return Processing(
        smoothed=method if smoothed else None,
        window=window if smoothed else 0,
        resampled=new_step if resampled else 0.0,
        subtracted=bool(subtracted),
        clipped=bool(subtracted and clipped),
        highest=highest if scaled else 0.0,
        decimals=decimals if scaled else None,
    )


def measure(crystal: Standard, setup: Setup, seed: int, *, second: Standard | None = None) -> Simulation:
    """The pattern of `crystal` under `setup`; `seed` draws the counts and the scatter of intensities."""
    anode = ANODES[setup.anode]
    truly = Radiation(anode.alpha1, anode.alpha2 if setup.ratio else None, setup.ratio, setup.anode)
    grid = _grid(setup)
    two_theta = grid.start + grid.step * np.arange(grid.points)
    random = _random(seed, "grains")
    d_star, area = _areas(crystal, setup, setup.pole, setup.r, random)
    peaks = _render(d_star, area, truly, setup, grid)
    if not peaks.max() > 0:
        raise _no_line(setup)
    highest = peaks.max()
    total = peaks / highest
    for wavelength, height in ((anode.beta, setup.beta), (TUNGSTEN_L_ALPHA, setup.tungsten)):
        if height:
            total += height * _render(d_star, area, Radiation(wavelength), setup, grid) / highest
    total += _foreign(setup, truly, grid, second, random)
    total += _level(setup, two_theta)
    counts = _random(seed, "counts").poisson(setup.counts * np.maximum(total, 0.0)).astype(np.float64)
    told = Radiation(truly.wavelength, truly.second, 0.5 if setup.ratio else 0.0, setup.anode)
    truth = Truth(
        number=crystal.number,
        cell=crystal.crystal.cell,
        formula=reduced_formula(crystal.crystal.composition()),
        setup=setup,
        d_star=d_star,
        height=area / area.max(),
    )
    return Simulation(*_processed(two_theta, counts, setup.processing), told, truth)


def _no_line(setup: Setup) -> XtinctError:
    return XtinctError(f"simulation: no line between {setup.first:.2f} and {setup.last:.2f} degrees")


def _grid(setup: Setup) -> Grid:
    # Diffractometers start on a round angle.
    first = round(setup.first, 1)
    return Grid(first, setup.step, int((setup.last - first) / setup.step) + 1)


def _areas(
    crystal: Standard, setup: Setup, pole: tuple[int, int, int], r: float, random: Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Lines of a crystal in the range, (1/d, area): |F|^2 of all hkl, texture, geometry, scatter."""
    anode = ANODES[setup.anode]
    low, high = (
        2 * math.sin(math.radians(min(max(angle, 0.5), 175.0) / 2)) / anode.alpha1
        for angle in (setup.first - _MARGIN, setup.last + _MARGIN)
    )
    # Ghosts of shorter wavelengths bring lines of larger 1/d into the range.
    high *= anode.alpha1 / anode.beta if setup.beta or setup.tungsten else 1.0
    try:
        d_star, intensity = structure_lines(
            crystal.crystal.cell,
            *atoms_of(crystal.crystal),
            d_star_max=high,
            b_iso=setup.b_iso,
            dispersion=dispersion(anode.alpha1),
            preferred_axis=pole,
            march_r=r,
        )
    except StructureRefusedError as refused:
        raise (_no_line(setup) if refused.reason == "no_lines" else refused) from None
    scatter = np.exp(random.normal(0.0, setup.grain, len(d_star)) if setup.grain else np.zeros(len(d_star)))
    sine = np.minimum(0.5 * anode.alpha1 * d_star, 0.9999)
    inside = (d_star > low) & (0.5 * anode.alpha1 * d_star < 0.9999)
    area = intensity * scatter * _geometry(setup, sine)
    if not inside.any():
        raise _no_line(setup)
    return d_star[inside], area[inside]


def _geometry(setup: Setup, sine: np.ndarray) -> np.ndarray:
    """Lorentz-polarisation factor of sin(theta) (n,)."""
    polarisation = polarisation_of("lorentz-polarisation", setup.monochromator)
    return geometric_factor(sine, np.sqrt(1 - sine**2), polarisation)


def _render(
    d_star: np.ndarray, area: np.ndarray, radiation: Radiation, setup: Setup, grid: Grid
) -> np.ndarray:
    """Peaks of the lines at `d_star` (m,) on the grid, float64 (points,)."""
    true = peak_shapes.true_angle(d_star**2, radiation.wavelength)
    shown = (true > 0.5) & (true < min(grid.start + grid.step * grid.points + _MARGIN, 175.0))
    true, area = true[shown], area[shown]
    lines = peak_shapes.doublet(true, radiation, setup.profile)
    forms = peak_shapes.shapes(true, setup.profile, 1e-3)
    # The same line is as broad in every wavelength and every pattern.
    wider = np.exp(setup.uneven * np.random.default_rng(0).standard_normal(len(shown)))[shown]
    made = peak_shapes.columns(grid, lines, forms.fwhm * wider, forms.eta, forms.skew, _REACH, False)
    return peak_shapes.add_up(made, 0, np.ascontiguousarray(area), grid.points)


def _foreign(
    setup: Setup, radiation: Radiation, grid: Grid, second: Standard | None, random: Generator
) -> np.ndarray:
    """Lines of other substances, in units of the highest peak."""
    total = np.zeros(grid.points)
    if setup.second_phase and second is not None:
        pattern = _render(*_areas(second, setup, (0, 0, 1), 1.0, random), radiation, setup, grid)
        total += setup.second_phase * pattern / max(float(pattern.max()), 1e-300)
    for two_theta, height in setup.foreign:
        d_star = np.array([2 * math.sin(math.radians(two_theta / 2)) / radiation.wavelength])
        pattern = _render(d_star, np.ones(1), radiation, setup, grid)
        total += height * pattern / max(float(pattern.max()), 1e-300)
    return total


def _level(setup: Setup, two_theta: np.ndarray) -> np.ndarray:
    """Background of the points, in units of the highest peak, never negative."""
    background = setup.background
    x = np.linspace(-1, 1, len(two_theta))
    terms = np.polynomial.chebyshev.chebval(x, [1.0, *background.chebyshev])
    air = background.air * np.exp(-(two_theta - two_theta[0]) / 5.0)
    height, centre, width = background.hump
    hump = height * np.exp(-4 * math.log(2) * ((two_theta - centre) / width) ** 2)
    return background.level * (np.maximum(terms, 0.05) + air) + hump


def _processed(
    two_theta: np.ndarray, intensity: np.ndarray, processing: Processing
) -> tuple[np.ndarray, np.ndarray]:
    """The counts after what was done to them."""
    if processing.smoothed == "savitzky-golay":
        intensity = savgol_filter(intensity, processing.window, 2)
    elif processing.smoothed == "moving-average":
        intensity = uniform_filter1d(intensity, processing.window, mode="nearest")
    if processing.resampled:
        grid = np.arange(two_theta[0], two_theta[-1], processing.resampled)
        two_theta, intensity = grid, np.interp(grid, two_theta, intensity)
    if processing.subtracted:
        half = max(5, round(0.8 / (two_theta[1] - two_theta[0])))
        intensity = intensity - Baseline(two_theta).snip(intensity, max_half_window=half, decreasing=True)[0]
    if processing.clipped:
        intensity = np.maximum(intensity, 0.0)
    if processing.highest:
        intensity = intensity * (processing.highest / intensity.max())
    if processing.decimals is not None:
        intensity = np.round(intensity, processing.decimals)
    return np.round(two_theta, 5), intensity


def as_plain(setup: Setup) -> Mapping[str, Any]:
    """A setup as a dictionary of plain numbers, lists and dictionaries, for JSON."""

    def plain(value: Any) -> Any:
        if hasattr(value, "_asdict"):
            return {name: plain(part) for name, part in value._asdict().items()}
        return [plain(part) for part in value] if isinstance(value, tuple) else value

    return {name: plain(value) for name, value in vars(setup).items()}
