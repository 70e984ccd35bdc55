"""The measurement that turns line lists into patterns, as one immutable object."""

import hashlib
import json
import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from functools import cached_property
from numbers import Real
from types import ModuleType
from typing import Any

import numpy as np

from xtinct.errors import XtinctError
from xtinct.patterns.lorentz import LORENTZ, polarisation_of
from xtinct.patterns.widths import widths
from xtinct.radiation.anodes import ALPHA_RATIO, TUBES, TUNGSTEN_L_ALPHA
from xtinct.radiation.wavelength import check_wavelength

#: Shapes of a peak. thompson-cox-hastings: the instrument's width is Gaussian, that of the crystallites
#: Lorentzian, and both together a pseudo-Voigt (J. Appl. Cryst. 20, 79-83, 1987).
PROFILES = ("gaussian", "lorentzian", "pseudo-voigt", "thompson-cox-hastings")

#: Full width at half maximum of a Gaussian in units of its standard deviation.
FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))

#: Relative deviation of a wavelength up to which it is a tube's K-alpha1.
_SAME_LINE = 2e-4

#: Points of a grid, at most: 180 degrees in steps of 0.0002.
MOST_POINTS = 1_000_000

#: What a number may be: gt, ge, lt and le are its bounds. The configuration has the same ones.
RANGES = {
    "points": {"ge": 2, "le": MOST_POINTS},
    "monochromator": {"ge": 0, "lt": 180},
    "eta": {"ge": 0, "le": 1},
    "crystallite_size": {"ge": 0},
    "goniometer_radius": {"gt": 0},
    "counts": {"ge": 0},
}
#: What stands in rows: how many numbers, and which.
_ROWS = {
    "further_wavelengths": (2, "pairs of angstrom and intensity"),
    "humps": (3, "threes of height, 2theta and FWHM"),
    "impurities": (2, "pairs of 1/d and intensity"),
}
_BOUNDS = {
    "gt": (operator.gt, "more than"),
    "ge": (operator.ge, "at least"),
    "lt": (operator.lt, "less than"),
    "le": (operator.le, "at most"),
}
#: Numbers that the configuration has below other keys.
_WHERE = {"points": "two_theta.points", "eta": "profile.pseudo-voigt.eta"}

#: Numbers that `from_config` takes as they are.
_OF_THE_SAME_NAME = (
    "monochromator",
    "crystallite_size",
    "zero_shift",
    "displacement",
    "goniometer_radius",
    "counts",
)

#: Standard deviations after which a Gaussian may be cut; exp(-5.7^2 / 2) = 9e-8.
CUT_SIGMAS = 5.7

#: What the exact law of the observer (`xtinct.observer.exact`) asks of an instrument.
EXACT_LAW_NEEDS = (
    "an instrument with one wavelength, Gaussian peaks of one width, two points a standard deviation or "
    "more, and no background, shift or noise"
)

#: Widths (FWHM) up to which the tails of lines beyond the grid are asked for: there a Lorentzian has
#: fallen to 0.25 %. The tails of lines that are there are not cut.
LORENTZIAN_REACH = 10.0


@dataclass(frozen=True)
class Instrument:
    """Wavelength, 2theta grid, geometric factor, peak shape and errors of a powder diffractometer.

    wavelength           angstrom; of several, the one that counts for ranges
    two_theta_min        first point, degree
    two_theta_max        last point, degree
    points               number of equidistant points, both ends included
    lorentz              one of LORENTZ
    fwhm                 full width at half maximum, degree 2theta: a number, or Caglioti's (U, V, W) in
                         degree^2, FWHM^2 = U tan^2 theta + V tan theta + W
    further_wavelengths  (angstrom, intensity relative to `wavelength`) of each further one
    monochromator        2theta of the monochromator's reflection, degree; 0: none
    profile              one of PROFILES; peaks have equal areas for equal intensities
    eta                  share of the Lorentzian in a pseudo-Voigt, 0 to 1
    crystallite_size     angstrom, broadens by Scherrer's formula; 0: no broadening. Widths add as
                         squares, those of a Lorentzian as they are
    zero_shift           observed minus true 2theta, degree
    displacement         s of the specimen from the goniometer's axis, mm; moves a line by
                         -2 s cos(theta) / R radians (Bragg-Brentano geometry)
    goniometer_radius    R, mm
    background           Chebyshev coefficients over the 2theta range, in units of the peaks' maximum
    humps                (height in the same units, 2theta, FWHM in degree) of amorphous humps
    counts               counts at the maximum, for Poisson noise; 0: no noise
    impurities           (1/d in 1/angstrom, integrated intensity in units of the strongest line)
    """

    wavelength: float
    two_theta_min: float
    two_theta_max: float
    points: int
    lorentz: str
    fwhm: float | tuple[float, float, float]
    further_wavelengths: tuple[tuple[float, float], ...] = ()
    monochromator: float = 0.0
    profile: str = "gaussian"
    eta: float = 0.0
    crystallite_size: float = 0.0
    zero_shift: float = 0.0
    displacement: float = 0.0
    goniometer_radius: float = 200.0
    background: tuple[float, ...] = ()
    humps: tuple[tuple[float, float, float], ...] = ()
    counts: float = 0.0
    impurities: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        for field in fields(self):
            # JSON and YAML give lists, notebooks arrays; an immutable object has tuples.
            object.__setattr__(self, field.name, _plain(getattr(self, field.name)))
        self._check_kinds()
        for key, bounds in RANGES.items():
            _check_range(key, getattr(self, key), bounds)
        self._check_optics()
        self._check_widths()
        self._check_errors()

    def _check_kinds(self) -> None:
        for key in ("wavelength", "two_theta_min", "two_theta_max", *RANGES, "zero_shift", "displacement"):
            value = getattr(self, key)
            if not _is_number(value) or (key == "points" and not isinstance(value, int)):
                named = "; Instrument.from_config takes names of tubes" if key == "wavelength" else ""
                kind = "whole number" if key == "points" else "number"
                raise XtinctError(f"instrument.{key}: {value!r}, expected a {kind}{named}")
        for key, (length, expected) in _ROWS.items():
            rows = getattr(self, key)
            if not (isinstance(rows, tuple) and all(_are_numbers(row, length) for row in rows)):
                raise XtinctError(f"instrument.{key}: {rows!r}, expected {expected}")
        if not (_is_number(self.fwhm) or _are_numbers(self.fwhm, 3)):
            raise XtinctError(f"instrument.fwhm: {self.fwhm!r}, expected a number or three, u, v and w")
        if not _are_numbers(self.background):
            raise XtinctError(f"instrument.background: {self.background!r}, expected numbers")

    def _check_optics(self) -> None:
        if not 0 <= self.two_theta_min < self.two_theta_max < 180:
            raise XtinctError(
                f"instrument.two_theta: {self.two_theta_min}-{self.two_theta_max} degrees, "
                "expected 0 <= min < max < 180"
            )
        for wavelength, weight in self.wavelengths:
            check_wavelength("instrument.wavelength", wavelength, self.two_theta_max)
            _positive("wavelength", weight)
        _one_of("lorentz", self.lorentz, LORENTZ)
        if self.monochromator and self.lorentz != "lorentz-polarisation":
            raise XtinctError("instrument.monochromator: needs lorentz: lorentz-polarisation")

    def _check_widths(self) -> None:
        _one_of("profile", self.profile, PROFILES)
        if not isinstance(self.fwhm, tuple):
            if not 0 <= self.fwhm < math.inf or (self.fwhm == 0 and not self.crystallite_size):
                raise XtinctError(f"instrument.fwhm: {self.fwhm}, expected a positive number")
            return
        if not np.isfinite(self.fwhm).all():
            raise XtinctError(f"instrument.fwhm: {self.fwhm}, expected finite numbers")
        u, v, w = self.fwhm
        tan = np.tan(np.radians(self.two_theta / 2))
        squares = (u * tan + v) * tan + w
        if squares.min() < 0 or (squares.min() == 0 and not self.crystallite_size):
            raise XtinctError(
                f"instrument.fwhm: u {u}, v {v}, w {w} give no width at "
                f"{self.two_theta[squares.argmin()]:.2f} degrees"
            )

    def _check_errors(self) -> None:
        for key in ("zero_shift", "displacement", "background", "humps", "impurities"):
            if not np.isfinite(np.asarray(getattr(self, key), dtype=float)).all():
                raise XtinctError(f"instrument.{key}: {getattr(self, key)}, expected finite numbers")
        for height, _, width in self.humps:
            _positive("background.humps", height)
            _positive("background.humps", width)
        for d_star, intensity in self.impurities:
            _positive("impurities", d_star)
            _positive("impurities", intensity)

    @classmethod
    def from_config(cls, settings: Mapping[str, object]) -> "Instrument":
        """From the configuration's `instrument`. Keys that are left out, as in the cards of older
        models, switch nothing on."""
        grid = settings["two_theta"]
        first, *further = _wavelengths(settings["wavelength"])
        fwhm, profile = settings["fwhm"], settings.get("profile", "gaussian")
        eta = 0.0
        if isinstance(profile, Mapping):
            ((profile, options),) = profile.items()
            eta = float(options["eta"])
        background = settings.get("background", {})
        return cls(
            wavelength=first[0],
            two_theta_min=float(grid["min"]),
            two_theta_max=float(grid["max"]),
            points=int(grid["points"]),
            lorentz=str(settings["lorentz"]),
            fwhm=tuple(float(fwhm[x]) for x in "uvw") if isinstance(fwhm, Mapping) else float(fwhm),
            further_wavelengths=tuple((angstrom, weight / first[1]) for angstrom, weight in further),
            profile=str(profile),
            eta=eta,
            background=background.get("chebyshev", ()),
            humps=tuple((h["height"], h["two_theta"], h["fwhm"]) for h in background.get("humps", ())),
            impurities=settings.get("impurities", ()),
            **{key: float(settings[key]) for key in _OF_THE_SAME_NAME if key in settings},
        )

    def to_dict(self) -> dict[str, object]:
        """Plain values, for metadata; `Instrument(**d)` gives the same instrument."""
        return asdict(self)

    def digest(self) -> str:
        """SHA-256 (hexadecimal) of everything that shapes a pattern."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    @cached_property
    def plain(self) -> bool:
        """Whether a pattern is nothing but Gaussians of one width and one wavelength."""
        switched_off = [
            getattr(self, field.name) == field.default
            for field in fields(self)
            if field.default is not MISSING and field.name != "goniometer_radius"
        ]
        return all(switched_off) and not isinstance(self.fwhm, tuple)

    @property
    def suits_exact_law(self) -> bool:
        """Whether the observer's exact law holds for its patterns: EXACT_LAW_NEEDS."""
        return self.plain and self.sigma >= 2 * self.step

    @property
    def two_theta(self) -> np.ndarray:
        """Grid float64 (points,), degree."""
        return np.linspace(self.two_theta_min, self.two_theta_max, self.points)

    @property
    def step(self) -> float:
        """Distance of neighbouring points, degree."""
        return (self.two_theta_max - self.two_theta_min) / (self.points - 1)

    @property
    def wavelengths(self) -> tuple[tuple[float, float], ...]:
        """(angstrom, relative intensity) of every wavelength, `wavelength` first with intensity 1."""
        return ((self.wavelength, 1.0), *self.further_wavelengths)

    def ghost_wavelength(self, name: str) -> float:
        """Wavelength, angstrom, of what a tube sends beside its K-alpha: k_beta, or tungsten (L-alpha1).

        XtinctError if the instrument's first wavelength is not that of a tube.
        """
        for lines in TUBES.values():
            if abs(lines.alpha1 / self.wavelength - 1.0) < _SAME_LINE:
                return lines.beta if name == "k_beta" else TUNGSTEN_L_ALPHA
        raise XtinctError(
            f"variation.{name}: {self.wavelength:g} angstrom is no K-alpha1 of a tube of {', '.join(TUBES)}; "
            "leave it out"
        )

    @property
    def caglioti(self) -> tuple[float, float, float]:
        """U, V and W of the instrument's width, degree^2."""
        return self.fwhm if isinstance(self.fwhm, tuple) else (0.0, 0.0, self.fwhm**2)

    @property
    def polarisation(self) -> float:
        """A of the factor 1 + A cos^2 2theta of `lorentz.geometric_factor`; 0: not polarised."""
        return polarisation_of(self.lorentz, self.monochromator)

    @property
    def sigma(self) -> float:
        """Standard deviation of the Gaussian peaks of a plain instrument, degree."""
        return self.fwhm / FWHM_PER_SIGMA

    @property
    def resolution(self) -> float:
        """Full width at half maximum in the middle of the range, degree."""
        if self.plain:
            return self.fwhm
        return self._fwhm_at(0.5 * (self.two_theta_min + self.two_theta_max))

    def widths_at(self, xp: ModuleType, theta: Any, wavelength: float) -> tuple[Any, Any]:
        """FWHM (degree 2theta) and Lorentzian share of lines at `theta` (radians; `xp`: numpy or torch)."""
        return widths(xp, theta, wavelength, self.profile, self.caglioti, self.crystallite_size, eta=self.eta)

    def _fwhm_at(self, two_theta: float) -> float:
        return float(self.widths_at(np, np.radians(np.array([two_theta]) / 2), self.wavelength)[0][0])

    @property
    def d_star_reach(self) -> float:
        """Largest 1/d (1/angstrom) of a line that reaches into the grid with its tail."""
        return self.reach_beyond(0.0)

    def reach_beyond(self, shift: float) -> float:
        """`d_star_reach` where peaks may also stand `shift` degrees 2theta lower than the instrument says."""
        if self.plain:
            tail = CUT_SIGMAS * self.sigma
        else:
            gaussian = self.profile == "gaussian" or (self.profile == "pseudo-voigt" and self.eta == 0)
            tail = CUT_SIGMAS / FWHM_PER_SIGMA if gaussian else LORENTZIAN_REACH
            tail *= self._fwhm_at(self.two_theta_max)
            tail += abs(self.zero_shift) + math.degrees(2 * abs(self.displacement) / self.goniometer_radius)
        last = min(180.0, self.two_theta_max + tail + shift)
        return 2.0 * math.sin(math.radians(last / 2.0)) / min(x for x, _ in self.wavelengths)

    def check_reach(self, d_star_max: float) -> None:
        """XtinctError if lines up to `d_star_max` (1/angstrom) would leave the grid's end empty."""
        if d_star_max < self.d_star_reach:
            raise XtinctError(
                f"lines.d_star_max: {d_star_max:g} 1/angstrom is below {self.d_star_reach:.4f}, what the "
                f"instrument shows up to {self.two_theta_max:g} degrees at {self.wavelength:g} angstrom"
            )


def _plain(value: object) -> object:
    """Tuples for lists and arrays, numbers of Python for those of numpy."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    return tuple(map(_plain, value)) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _are_numbers(values: object, length: int | None = None) -> bool:
    """Whether these are numbers, so many of them where `length` is told."""
    return isinstance(values, tuple) and length in (None, len(values)) and all(map(_is_number, values))


def _check_range(key: str, value: float, bounds: Mapping[str, float]) -> None:
    if not math.isfinite(value) or not all(_BOUNDS[b][0](value, limit) for b, limit in bounds.items()):
        expected = " and ".join(f"{_BOUNDS[b][1]} {limit}" for b, limit in bounds.items())
        raise XtinctError(f"instrument.{_WHERE.get(key, key)}: {value}, expected {expected}")


def _positive(key: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise XtinctError(f"instrument.{key}: {value}, expected a positive number")


def _one_of(key: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise XtinctError(f"instrument.{key}: {value!r}, expected one of {', '.join(choices)}")


def _wavelengths(setting: object) -> list[tuple[float, float]]:
    """(angstrom, weight) of a number, a named tube or a list of such pairs."""
    if isinstance(setting, str):
        name, kind = setting[:2], setting[2:]
        if name not in TUBES or kind not in ("Ka", "Ka1"):
            raise XtinctError(
                f"instrument.wavelength: {setting!r}, expected a number, pairs of numbers, or "
                f"{', '.join(TUBES)} with Ka (both lines) or Ka1"
            )
        lines = TUBES[name]
        first = (lines.alpha1, 1.0)
        return [first] if kind == "Ka1" else [first, (lines.alpha2, ALPHA_RATIO)]
    if isinstance(setting, Sequence):
        pairs = [(float(angstrom), float(weight)) for angstrom, weight in setting]
        if not pairs or not all(weight > 0 for _, weight in pairs):
            raise XtinctError("instrument.wavelength: expected [angstrom, weight] pairs, weights positive")
        return pairs
    return [(float(setting), 1.0)]
