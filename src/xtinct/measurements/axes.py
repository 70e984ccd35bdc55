"""Axes of powder data: their names in files of several languages, and their conversion to d and 2theta."""

import re
from enum import Enum

import numpy as np

from xtinct.errors import XtinctError


class Axis(Enum):
    """What the positions of a file are; the value is the name that a user gives."""

    TWO_THETA = "2theta"
    THETA = "theta"
    D = "d"
    Q = "q"
    Q_NM = "q_nm"
    STOL = "sin(theta)/lambda"
    D_STAR = "1/d"
    RADIANS = "2theta in radians"
    MILLIRADIANS = "2theta in milliradians"
    D_NM = "d in nm"
    D_PM = "d in pm"
    D_STAR_NM = "1/d in 1/nm"
    Q_UNITLESS = "q without a unit"
    OTHER = "another axis"
    TIME_OF_FLIGHT = "time of flight"
    ENERGY = "energy"


#: Axes in other units: the axis that each is, its unit in that axis's own, and how it is written.
SCALED = {
    Axis.RADIANS: (Axis.TWO_THETA, 180 / np.pi),
    Axis.MILLIRADIANS: (Axis.TWO_THETA, 0.18 / np.pi),
    Axis.D_NM: (Axis.D, 10.0),
    Axis.D_PM: (Axis.D, 0.01),
    Axis.D_STAR_NM: (Axis.D_STAR, 0.1),
}
#: Axes that a user may name.
NAMED = (Axis.TWO_THETA, Axis.THETA, Axis.D, Axis.Q, Axis.Q_NM, Axis.STOL, Axis.D_STAR)
_ALIASES = {
    "2-theta": Axis.TWO_THETA,
    "two_theta": Axis.TWO_THETA,
    "tth": Axis.TWO_THETA,
    "q/nm": Axis.Q_NM,
    "1/nm": Axis.Q_NM,
    "1/a": Axis.Q,
    "stol": Axis.STOL,
    "d*": Axis.D_STAR,
}


def axis_named(name: "str | Axis | None") -> Axis | None:
    """The axis that a user names; None stays None. XtinctError for an unknown name."""
    if name is None or isinstance(name, Axis):
        return name
    plain = name.strip().lower()
    known = {axis.value: axis for axis in NAMED} | _ALIASES
    if plain not in known:
        raise XtinctError(f"axis: {name!r}, expected one of {', '.join(axis.value for axis in NAMED)}")
    return known[plain]


_TWO_THETA = re.compile(
    r"(?:2|two|zwei|deux)[\s*_.·×-]*(?:theta|th(?![a-z])|teta|thêta)|\btth\b|\b2t\b|diffraction angle|"
    r"°\s*2th|beugungswinkel|angle de diffraction|scattering angle"
)
#: Letters and marks of TeX as words; the last two are theta of Shift-JIS, and of GBK and EUC-JP, whose bytes
#: were read as letters of the West and made small.
_LETTERS = (
    *(("\\aa", "å"), ("\\angstrom", "å"), ("\\mathrm", ""), ("\\lambda", "lambda"), ("\\theta", "theta")),
    *(("$", ""), ("{", ""), ("}", ""), ("θ", "theta"), ("ϑ", "theta"), ("λ", "lambda")),
    *(("ƒæ", "theta"), ("¦è", "theta")),
)
_PER_NM = re.compile(r"nm\s*\W{0,2}-\s*1|1\s*/\s*nm|/nm|nm⁻|nm\$?\^|inverse\s*nanom")
_PER_ANGSTROM = re.compile(
    r"(?:å|\ba|angstroms?|ang)\s*\W{0,2}-\s*1|_a\^-1|1\s*/\s*(?:å|a|ang)|/(?:å|a)\b|å⁻|a⁻|inverse\s*ang|q_a\b"
)
_LONE = {
    "theta": Axis.THETA,
    "th": Axis.THETA,
    "thêta": Axis.THETA,
    "angle": Axis.TWO_THETA,
    "angles": Axis.TWO_THETA,
    "winkel": Axis.TWO_THETA,
    "position": Axis.TWO_THETA,
    "pos": Axis.TWO_THETA,
    "2": Axis.TWO_THETA,
    "gonio": Axis.TWO_THETA,
    "tth": Axis.TWO_THETA,
    "d": Axis.D,
    "dhkl": Axis.D,
    "d_hkl": Axis.D,
    "d(hkl)": Axis.D,
    "q": Axis.Q,
    "1/d": Axis.D_STAR,
    "d*": Axis.D_STAR,
    "stol": Axis.STOL,
    "tof": Axis.TIME_OF_FLIGHT,
    "energy": Axis.ENERGY,
    "energie": Axis.ENERGY,
}


def axis_of(label: str, *, lone: bool = True) -> Axis | None:
    """The axis that a column's label or a line of a header names, None if none.

    lone: short names (d, Q, theta, angle) count too, as they may in a column's label, though not in prose.
    """
    # One blank for a run of them: patterns would try each of its blanks as their beginning.
    plain = " ".join(label.strip().strip("\"'#;!").lower().split())
    for letter, word in _LETTERS:
        plain = plain.replace(letter, word)
    if re.search(r"time[\s_-]*of[\s_-]*flight|\btof\b|microsec|µsec|musec|flugzeit|temps de vol", plain):
        return Axis.TIME_OF_FLIGHT
    if re.search(r"sin\W{0,2}\s*theta\W{0,2}\s*/\s*(?:lambda|wavelength)", plain):
        return Axis.STOL
    if re.search(r"wave\s*number|raman|\bcm\s*\^?-1", plain):
        return Axis.OTHER
    if re.search(r"energy[\s_-]*dispersive|\[kev\]|\(kev\)|\benergy\s*\(?\[?ev", plain):
        return Axis.ENERGY
    if _TWO_THETA.search(plain):
        unit = re.search(r"(?:[\s\[(_,/])(m?)rad(?:ians?)?(?![a-z])", plain)
        if unit:
            return Axis.MILLIRADIANS if unit[1] else Axis.RADIANS
        return Axis.TWO_THETA
    per_nm, per_angstrom = _PER_NM.search(plain), _PER_ANGSTROM.search(plain)
    if per_nm or per_angstrom:
        if re.match(r"1\s*/\s*d\b|d\s*\*|s\b", plain):
            return Axis.D_STAR if per_angstrom else Axis.D_STAR_NM
        if re.search(r"\bq|momentum|scattering vector|wave vector", plain):
            return Axis.Q_NM if per_nm else Axis.Q
    if re.search(r"\bd[\s_-]*(?:spacing|value|wert|abstand)|\bdspacing|netzebenenabstand|interplanar", plain):
        return _d_in(plain)
    if re.search(r"momentum transfer|scattering vector|q[\s_-]*space", plain):
        return Axis.Q_UNITLESS
    if not lone:
        return None
    word = re.sub(r"\s*[\[(_,/].*$", "", plain) if not plain.startswith(("1/d", "d(hkl", "d_hkl")) else plain
    word = re.sub(r"\s+(?:angstroms?|å|a|deg|degrees?|°|nm|kev|grad)$", "", word).rstrip(".:°").strip()
    found = _LONE.get(word)
    if found is Axis.D:
        return _d_in(plain)
    return Axis.Q_UNITLESS if found is Axis.Q else found


def _d_in(plain: str) -> Axis:
    unit = re.search(r"[\[(/_,\s](nm|pm)(?![a-z])", plain)
    return Axis.D if unit is None else {"nm": Axis.D_NM, "pm": Axis.D_PM}[unit[1]]


def to_d(x: np.ndarray, axis: Axis, wavelength: float | None) -> np.ndarray:
    """Spacings d, angstrom, of positions `x` (n,) > 0; the wavelength, angstrom, is for angles alone."""
    if axis is Axis.TWO_THETA:
        return wavelength / (2 * np.sin(np.radians(x / 2)))
    if axis is Axis.THETA:
        return wavelength / (2 * np.sin(np.radians(x)))
    if axis is Axis.D:
        return np.asarray(x, dtype=np.float64)
    per = {Axis.Q: 2 * np.pi, Axis.Q_NM: 20 * np.pi, Axis.STOL: 0.5, Axis.D_STAR: 1.0}[axis]
    return per / x


def to_two_theta(x: np.ndarray, axis: Axis, wavelength: float | None) -> np.ndarray:
    """2theta, degrees, of positions `x` (n,); NaN where no angle has such a spacing at the wavelength."""
    if axis is Axis.TWO_THETA:
        return np.asarray(x, dtype=np.float64)
    if axis is Axis.THETA:
        return 2 * np.asarray(x, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return 2 * np.degrees(np.arcsin(wavelength / (2 * to_d(x, axis, wavelength))))
