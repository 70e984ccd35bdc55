"""Laws that the measuring conditions of training patterns, and changes of their samples, are drawn from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import numpy as np

from xtinct.compiling import njit
from xtinct.errors import XtinctError
from xtinct.linelists.line_lists import LineLists
from xtinct.patterns.conditions import Conditions
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.placement import GHOSTS, Shifts, width_in_the_middle
from xtinct.patterns.sample_changes import SampleChanges
from xtinct.randomness import subkey, uniform

Bounds = tuple[float, float]

#: Chebyshev terms of a drawn background.
_BACKGROUND_TERMS = 5
#: Counters of a sample's stream: one per quantity, so that one more quantity moves none of the others.
_WIDTH, _ZERO, _DISPLACEMENT, _COUNTS, _NOISE, _LINES, _BACKGROUND, _FIRST_LINE = 0, 1, 2, 3, 4, 5, 8, 32
#: Sub-streams of a sample: quantities beyond those, what shows at all, the axis of texture, strain.
_FURTHER, _SHOWN, _AXIS, _STRAIN = 5, 6, 7, 9

#: Places in the sub-streams _FURTHER and _SHOWN. Only ever appended to: a place is part of what is drawn.
_PLACES = {
    name: place
    for place, name in enumerate(
        (
            *("width_factor", "zero_shift", "displacement", "background", "counts", "impurity_lines", "fwhm"),
            *("microstrain", "eta", "crystallite_size", "asymmetry", "log_background", "hump"),
            *("hump_two_theta", "hump_fwhm", "air_scatter", "air_decay", "k_beta", "tungsten"),
            *("foreign_phase", "texture", "d_scale", "strain", "b_iso", "start", "end"),
        )
    )
}
#: What a quantity is in patterns that do not show it; the others always show.
_NOT_SHOWN = {
    "zero_shift": 0.0,
    "displacement": 0.0,
    "background": 0.0,
    "log_background": 0.0,
    "counts": np.inf,
    "impurity_lines": 0.0,
    "microstrain": 0.0,
    "asymmetry": 0.0,
    "hump": 0.0,
    "air_scatter": 0.0,
    "k_beta": 0.0,
    "tungsten": 0.0,
    "foreign_phase": 0.0,
    "texture": 1.0,
    "d_scale": 1.0,
    "strain": 0.0,
    "b_iso": 0.0,
    "start": 0.0,
    "end": 180.0,
}
#: Quantities of which the logarithm is uniform.
_LOGARITHMIC = (
    "width_factor",
    "counts",
    "fwhm",
    "crystallite_size",
    "log_background",
    "hump",
    "k_beta",
    "tungsten",
    "foreign_phase",
    "texture",
    "d_scale",
)
#: Smallest and largest bounds of those that have others than 0 and infinity.
_LIMITS = {
    "zero_shift": (-np.inf, np.inf),
    "displacement": (-np.inf, np.inf),
    "b_iso": (-np.inf, np.inf),
    "eta": (0.0, 1.0),
    "asymmetry": (0.0, 0.06),
    "microstrain": (0.0, 0.1),
    "strain": (-0.1, 0.1),
    "d_scale": (0.5, 2.0),
    "texture": (0.1, 10.0),
    "foreign_phase": (0.0, 1.0),
    "k_beta": (0.0, 1.0),
    "tungsten": (0.0, 1.0),
    "hump_two_theta": (-np.inf, np.inf),
    "start": (0.0, 180.0),
    "end": (0.0, 180.0),
}
_TOGETHER = (
    ("impurity_lines", "impurity_intensity", "impurity_d_star"),
    ("hump", "hump_two_theta", "hump_fwhm"),
    ("air_scatter", "air_decay"),
)
#: Samples that share their foreign phases: that of one is another of the same block.
FOREIGN_BLOCK = 64


@dataclass(frozen=True)
class Variation:
    """Ranges that conditions are drawn from; None is no variation.

    Of the measurement (`Conditions`):

    width_factor        log-uniform, of every peak's width
    zero_shift          uniform, degree 2theta
    displacement        uniform, mm
    background          uniform: mean height of the background, in units of the highest peak; its
                        course is a random Chebyshev series that is nowhere negative
    log_background      the same, log-uniform; one of the two
    hump                log-uniform: height of an amorphous hump, in units of the highest peak
    hump_two_theta      uniform: its place, degree
    hump_fwhm           uniform: its width, degree
    air_scatter         uniform: rise of the background at the first point, in units of its mean height
    air_decay           uniform: degrees in which that falls to 1/e
    counts              log-uniform: counts at the highest point
    impurity_lines      whole numbers, uniform, both ends included
    impurity_intensity  uniform, of each impurity line, in units of the strongest line
    impurity_d_star     uniform, position of each impurity line, 1/angstrom
    fwhm                log-uniform, degree: width at 0 degrees, in place of the instrument's
    microstrain         uniform: adds 4 x microstrain x tan(theta) radians to the width, as squares
    crystallite_size    log-uniform, angstrom, in place of the instrument's
    eta                 uniform: share of the Lorentzian, in place of the instrument's
    asymmetry           uniform: half the slit's and the sample's height over the radius (axial divergence)
    k_beta, tungsten    log-uniform: intensity of these lines of the tube, in units of the first wavelength
    foreign_phase       log-uniform: strongest line of another crystal of the stream, in units of the sample's
    start, end          uniform, degree: where the measurement begins and ends

    Of the sample (`SampleChanges`):

    d_scale             log-uniform, of all d
    strain              uniform: relative change of each free length, and of each free angle in radians
    b_iso               uniform, angstrom^2, added
    texture             log-uniform: March's r, about one of seven poles, another for each sample

    shares              quantity -> share of the patterns that show it; without it all do
    """

    width_factor: Bounds | None = None
    zero_shift: Bounds | None = None
    displacement: Bounds | None = None
    background: Bounds | None = None
    counts: Bounds | None = None
    impurity_lines: tuple[int, int] | None = None
    impurity_intensity: Bounds | None = None
    impurity_d_star: Bounds | None = None
    fwhm: Bounds | None = None
    microstrain: Bounds | None = None
    eta: Bounds | None = None
    crystallite_size: Bounds | None = None
    asymmetry: Bounds | None = None
    log_background: Bounds | None = None
    hump: Bounds | None = None
    hump_two_theta: Bounds | None = None
    hump_fwhm: Bounds | None = None
    air_scatter: Bounds | None = None
    air_decay: Bounds | None = None
    k_beta: Bounds | None = None
    tungsten: Bounds | None = None
    foreign_phase: Bounds | None = None
    texture: Bounds | None = None
    d_scale: Bounds | None = None
    strain: Bounds | None = None
    b_iso: Bounds | None = None
    start: Bounds | None = None
    end: Bounds | None = None
    shares: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in _quantities():
            if getattr(self, name) is not None:
                _check_bounds(name, *getattr(self, name))
        for names in _TOGETHER:
            given = [getattr(self, name) is not None for name in names]
            if any(given) and not all(given):
                raise XtinctError(f"variation: {', '.join(names[:-1])} and {names[-1]} go together")
        if self.background and self.log_background:
            raise XtinctError("variation: background or log_background, not both")
        if self.air_scatter and not (self.background or self.log_background):
            raise XtinctError("variation.air_scatter: in units of a background, and there is none")
        if self.start and self.end and not self.start[1] < self.end[0]:
            raise XtinctError("variation: start must be below end")
        for name, share in self.shares.items():
            if name not in _NOT_SHOWN:
                raise XtinctError(f"variation.shares.{name}: expected one of {', '.join(sorted(_NOT_SHOWN))}")
            if getattr(self, name) is None:
                raise XtinctError(f"variation.shares.{name}: but variation.{name} is missing")
            if not 0 <= share <= 1:
                raise XtinctError(f"variation.shares.{name}: {share}, expected 0 to 1")

    @classmethod
    def from_config(cls, settings: Mapping[str, object]) -> "Variation":
        """From a mapping of the attributes to [low, high], and `shares`; what is left out does not vary."""
        known = _quantities()
        ranges = {}
        for key, bounds in settings.items():
            if key == "shares":
                ranges[key] = _shares(bounds)
                continue
            if key not in known:
                raise XtinctError(f"variation.{key}: expected one of {', '.join([*known, 'shares'])}")
            try:
                low, high = bounds
                kind = int if key == "impurity_lines" else float
                ranges[key] = (kind(low), kind(high))
            except (TypeError, ValueError):
                raise XtinctError(f"variation.{key}: {bounds!r}, expected [low, high]") from None
        return cls(**ranges)

    def check(self, instrument: Instrument, d_star_max: float) -> None:
        """XtinctError for what makes no sense on this instrument with lines up to `d_star_max`."""
        if self.eta and instrument.profile == "thompson-cox-hastings":
            raise XtinctError(
                "variation.eta: widths give the share of the Lorentzian in thompson-cox-hastings; "
                "leave it out, or take another instrument.profile"
            )
        for name in GHOSTS:
            if getattr(self, name):
                self._check_ghost(name, instrument, d_star_max)
        for name in ("start", "end"):
            bounds = getattr(self, name)
            if bounds and not instrument.two_theta_min <= bounds[0] <= bounds[1] <= instrument.two_theta_max:
                raise XtinctError(
                    f"variation.{name}: {list(bounds)} is not within the instrument's "
                    f"{instrument.two_theta_min:g}-{instrument.two_theta_max:g} degrees"
                )
        reach = self._reach(instrument)
        if reach > instrument.d_star_reach and d_star_max < reach:
            raise XtinctError(
                f"variation: lattices grow by up to {100 * (self.stretch - 1):.3g} %, and peaks stand up to "
                f"{self.lowered(instrument):.3g} degrees lower, so that lines up to {reach:.4f} 1/angstrom "
                f"come into the range, but lines.d_star_max is {d_star_max:g}; raise it, or narrow d_scale, "
                "strain, zero_shift and displacement"
            )

    def _check_ghost(self, name: str, instrument: Instrument, d_star_max: float) -> None:
        """XtinctError for a tube without that line, and where its peaks would end before the grid."""
        ghost = instrument.ghost_wavelength(name)
        shorter = min(wavelength for wavelength, _ in instrument.wavelengths) / ghost
        reach = self._reach(instrument) * shorter
        if shorter > 1 and d_star_max < reach:
            raise XtinctError(
                f"variation.{name}: its wavelength is shorter, so that lines up to {reach:.4f} 1/angstrom "
                f"come into the range, but lines.d_star_max is {d_star_max:g}; raise it, or leave {name} out"
            )

    def _reach(self, instrument: Instrument) -> float:
        """Largest 1/d (1/angstrom) of a line that comes into the instrument's range under this law."""
        return instrument.reach_beyond(self.lowered(instrument)) * self.stretch

    def lowered(self, instrument: Instrument) -> float:
        """Degrees 2theta that peaks at the end of the range stand lower at most, by zero shift and height."""
        zero = max(0.0, -self.zero_shift[0]) if self.zero_shift else 0.0
        height = max(0.0, self.displacement[1]) if self.displacement else 0.0
        cosine = math.cos(math.radians(instrument.two_theta_max / 2.0))
        return zero + math.degrees(2.0 * height / instrument.goniometer_radius) * cosine

    @property
    def stretch(self) -> float:
        """Largest factor by which d grows: lines are needed up to this times the instrument's reach."""
        scale = max(1.0, self.d_scale[1]) if self.d_scale else 1.0
        if not self.strain:
            return scale
        # Free angles change d as well: a shear of s changes lengths by at most s.
        return scale * (1.0 + 2.0 * max(map(abs, self.strain)))

    def widths(self, instrument: Instrument) -> tuple[float, float]:
        """Least and greatest width of peaks in the middle of the range, in units of the instrument's."""
        if not (self.fwhm or self.microstrain or self.crystallite_size):
            return self.width_factor or (1.0, 1.0)
        extremes = []
        for end in (0, 1):
            values = {
                name: np.array([getattr(self, name)[end]])
                for name in ("microstrain", "width_factor")
                if getattr(self, name)
            }
            if self.crystallite_size:
                # The smallest crystallites make the widest peaks.
                values["crystallite_size"] = np.array([self.crystallite_size[1 - end]])
            if self.fwhm:
                values["caglioti"] = np.array([[0.0, 0.0, self.fwhm[end] ** 2]])
            extremes.append(width_in_the_middle(instrument, Shifts(**values)) / instrument.resolution)
        return float(extremes[0]), float(extremes[1])

    @property
    def changes_samples(self) -> bool:
        """Whether anything but the measurement varies."""
        return any(getattr(self, name) is not None for name in ("d_scale", "strain", "b_iso", "texture"))

    def draw(self, key: np.uint64, start: int, count: int) -> Conditions:
        """Conditions of samples start to start + count - 1 of the stream `key` (uint64), but for the lines
        of foreign phases, which `Loader` adds.

        Those of a sample depend on `key` and its number alone, whatever is drawn with it.
        """
        draws = self._draws(key, start, count)
        drawn: dict[str, object] = {}
        for name in ("width_factor", "zero_shift", "displacement", "counts"):
            if getattr(self, name):
                drawn[name] = draws.of(name)
        for name in ("microstrain", "eta", "crystallite_size", "asymmetry", "k_beta", "tungsten"):
            if getattr(self, name):
                drawn[name] = draws.of(name)
        if self.fwhm:
            fwhm = draws.of("fwhm")
            drawn["caglioti"] = np.column_stack([0 * fwhm, 0 * fwhm, fwhm * fwhm])
        for name in ("start", "end"):
            if getattr(self, name):
                drawn[name] = draws.of(name)
        self._draw_background(draws, drawn)
        if self.counts:
            drawn["noise_keys"] = draws.noise
        if self.impurity_lines:
            drawn["impurities"] = self._impurities(draws)
        return Conditions(**drawn)

    def draw_changes(self, key: np.uint64, start: int, count: int) -> SampleChanges:
        """What is done to samples start to start + count - 1 themselves, as for `draw`."""
        draws = self._draws(key, start, count)
        given = {
            name: draws.of(attribute)
            for name, attribute in (("d_scale", "d_scale"), ("b_iso", "b_iso"), ("march_r", "texture"))
            if getattr(self, attribute)
        }
        if self.texture:
            given["axis_keys"] = draws.keys(_AXIS)
        if self.strain:
            shown = draws.shown("strain")[:, None]
            low, high = self.strain
            given["strain"] = shown * (low + (high - low) * _uniforms(draws.keys(_STRAIN), 6))
        return SampleChanges(**given)

    def draw_foreign(self, key: np.uint64, start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Strengths of the foreign phases, float64 (count,), 0 for none, and the numbers of the samples that
        they are, int64 (count,): others of the same FOREIGN_BLOCK."""
        draws = self._draws(key, start, count)
        number = np.arange(start, start + count)
        other = 1 + np.floor(draws.further("foreign_phase", FOREIGN_BLOCK - 1)).astype(np.int64)
        place = (number % FOREIGN_BLOCK + other) % FOREIGN_BLOCK
        return draws.of("foreign_phase"), number - number % FOREIGN_BLOCK + place

    def _draws(self, key: np.uint64, start: int, count: int) -> "_Draws":
        impurities = self.impurity_lines[1] if self.impurity_lines else 0
        own = _own_keys(np.uint64(key), start, count)
        return _Draws(self, own, _uniforms(own, _FIRST_LINE + 2 * impurities))

    def _draw_background(self, draws: "_Draws", drawn: dict[str, object]) -> None:
        name = "background" if self.background else "log_background"
        if getattr(self, name):
            level = draws.of(name)
            course = 2 * draws.first[:, _BACKGROUND + 1 : _BACKGROUND + _BACKGROUND_TERMS] - 1
            # |T_k| <= 1, so terms whose sizes add up to at most 1 leave nothing negative.
            course /= _BACKGROUND_TERMS - 1
            drawn["background"] = level[:, None] * np.column_stack([np.ones(len(level)), course])
            if self.air_scatter:
                drawn["air"] = np.column_stack([level * draws.of("air_scatter"), draws.of("air_decay")])
        if self.hump:
            drawn["hump"] = np.column_stack([draws.of(n) for n in ("hump", "hump_two_theta", "hump_fwhm")])

    def _impurities(self, draws: "_Draws") -> LineLists:
        fewest, most = self.impurity_lines
        u = draws.first
        numbers = fewest + np.floor(u[:, _LINES] * (most - fewest + 1)).astype(np.int64)
        numbers *= draws.shown("impurity_lines")
        own = np.arange(most) < numbers[:, None]
        d_star = _between(self.impurity_d_star, u[:, _FIRST_LINE : _FIRST_LINE + most])
        intensity = _between(self.impurity_intensity, u[:, _FIRST_LINE + most : _FIRST_LINE + 2 * most])
        order = np.argsort(np.where(own, d_star, np.inf), axis=1, kind="stable")
        d_star, intensity = (np.take_along_axis(x, order, axis=1)[own] for x in (d_star, intensity))
        return LineLists(
            np.concatenate([[0], np.cumsum(numbers)]).astype(np.int64), d_star, intensity.astype(np.float32)
        )


#: Quantities that were there from the beginning, with their counters in the sample's own stream.
_OLDEST = {
    "width_factor": _WIDTH,
    "zero_shift": _ZERO,
    "displacement": _DISPLACEMENT,
    "counts": _COUNTS,
    "background": _BACKGROUND,
    "log_background": _BACKGROUND,
}


class _Draws:
    """Random numbers of some samples: `first` float64 (n, counters) of their own streams, `noise` keys."""

    def __init__(self, law: Variation, own: np.ndarray, first: np.ndarray) -> None:
        self._law, self._own, self.first = law, own, first
        self._further: np.ndarray | None = None

    @property
    def noise(self) -> np.ndarray:
        """Keys uint64 (n,) of the counting noise."""
        return self.keys(_NOISE)

    def keys(self, stream: int) -> np.ndarray:
        """Keys uint64 (n,) of a sub-stream of each sample."""
        return _sub_keys(self._own, np.uint64(stream))

    def further(self, name: str, times: float = 1.0) -> np.ndarray:
        """A second number of the quantity, uniform in [0, times)."""
        return times * _uniforms(self.keys(_SHOWN), 2 * len(_PLACES))[:, 2 * _PLACES[name] + 1]

    def shown(self, name: str) -> np.ndarray:
        """Whether the quantity shows, bool (n,)."""
        share = self._law.shares.get(name, 1.0)
        if share >= 1:
            return np.ones(len(self._own), bool)
        return _uniforms(self.keys(_SHOWN), 2 * len(_PLACES))[:, 2 * _PLACES[name]] < share

    def of(self, name: str) -> np.ndarray:
        """Values float64 (n,) of the quantity by its range and share."""
        if name in _OLDEST:
            u = self.first[:, _OLDEST[name]]
        else:
            if self._further is None:
                self._further = _uniforms(self.keys(_FURTHER), len(_PLACES))
            u = self._further[:, _PLACES[name]]
        bounds = getattr(self._law, name)
        values = np.exp(_between(tuple(np.log(bounds)), u)) if name in _LOGARITHMIC else _between(bounds, u)
        if name in self._law.shares:
            values = np.where(self.shown(name), values, _NOT_SHOWN[name])
        return values


def _between(bounds: Bounds, draws: np.ndarray) -> np.ndarray:
    return bounds[0] + (bounds[1] - bounds[0]) * draws


def _quantities() -> list[str]:
    return [f.name for f in fields(Variation) if f.name != "shares"]


def _check_bounds(name: str, low: float, high: float) -> None:
    smallest, largest = _LIMITS.get(name, (0.0, np.inf))
    if not (smallest <= low <= high <= largest and np.isfinite([low, high]).all()):
        limits = f" from {smallest:g} on" if np.isfinite(smallest) else ""
        limits += f" to {largest:g}" if np.isfinite(largest) else ""
        raise XtinctError(f"variation.{name}: [{low}, {high}], expected two ascending finite numbers{limits}")
    if low <= 0 and (name in _LOGARITHMIC or name in ("hump_fwhm", "air_decay")):
        raise XtinctError(f"variation.{name}: {low}, expected a positive number")


def _shares(given: object) -> dict[str, float]:
    try:
        return {str(name): float(share) for name, share in given.items()}
    except (AttributeError, TypeError, ValueError):
        raise XtinctError(
            f"variation.shares: {given!r}, expected quantities with shares from 0 to 1"
        ) from None


@njit(cache=True, nogil=True)
def _own_keys(key, start, count):
    """Keys uint64 (count,) of samples number start and on."""
    keys = np.empty(count, np.uint64)
    for i in range(count):
        keys[i] = subkey(key, np.uint64(start) + np.uint64(i))
    return keys


@njit(cache=True, nogil=True)
def _sub_keys(keys, stream):
    """Keys uint64 (n,) of a sub-stream of each of `keys`."""
    out = np.empty(keys.size, np.uint64)
    for i in range(keys.size):
        out[i] = subkey(keys[i], stream)
    return out


@njit(cache=True, nogil=True)
def _uniforms(keys, width):
    """Uniform draws float64 (n, width), counters 0 to width - 1 of each key."""
    draws = np.empty((keys.size, width))
    for i in range(keys.size):
        for j in range(width):
            draws[i, j] = uniform(keys[i], j)
    return draws
