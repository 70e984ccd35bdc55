"""Radiation of a measurement: wavelengths, their ratio, and what a number that is told most likely means."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from xtinct.errors import XtinctError
from xtinct.radiation.anodes import ALPHA_RATIO, ANODES, HC
from xtinct.radiation.wavelength import check_wavelength

#: Shares of the wavelength by which tables and files round K-alpha1, and the mean of the doublet.
_OFF_ALPHA1, _OFF_MEAN = 1.2e-4, 2.5e-4
#: Two wavelengths further apart than this share are no doublet: Ag's differ by 0.8 %.
_WIDEST_DOUBLET = 0.015
_UNITS = {
    "a": 1.0,
    "å": 1.0,
    "ang": 1.0,
    "angstrom": 1.0,
    "angstroms": 1.0,
    "nm": 10.0,
    "pm": 0.01,
    "m": 1e10,
}
_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?")


@dataclass(frozen=True)
class Radiation:
    """Wavelengths in angstrom: K-alpha1 or the only one, K-alpha2 if there is one, and its share.

    ratio: intensity of the second over that of the first, 0 for one wavelength. anode: "Cu" and so on
    where known. note: what was taken for what, None if nothing had to be. given: the mean that was told in
    place of both wavelengths, and so the one that positions were converted with; None for others.
    nominal: nobody told a wavelength, and this one only makes angles of positions in d or Q.
    """

    wavelength: float
    second: float | None = None
    ratio: float = 0.0
    anode: str | None = None
    note: str | None = None
    given: float | None = None
    nominal: bool = False

    @property
    def mean(self) -> float:
        """Mean wavelength by intensity, angstrom; `wavelength` if it is the only one."""
        if self.second is None:
            return self.wavelength
        return (self.wavelength + self.ratio * self.second) / (1 + self.ratio)

    def beside(self, doublet: bool) -> float:
        """Wavelength by which lines of this radiation lie as those of an instrument do, angstrom.

        doublet: whether the instrument has both lines; one with a single line has it at the mean.
        """
        return self.wavelength if doublet else self.mean


def doublet_of(anode: str) -> Radiation:
    """K-alpha1 and K-alpha2 of an anode ("Cu"); XtinctError for one that is not in ANODES."""
    if anode not in ANODES:
        raise XtinctError(f"radiation: {anode!r} is no anode that is known ({', '.join(ANODES)})")
    return Radiation(ANODES[anode].alpha1, ANODES[anode].alpha2, ALPHA_RATIO, anode)


def radiation_of(
    wavelength: "float | str | Radiation | Sequence[float]", ratio: float | None = None
) -> Radiation:
    """The radiation that a number, a name or two numbers tell.

    wavelength: angstrom; "1.5406", "0.15406 nm"; "Cu", "CuKa" (the doublet), "CuKa1", "CuKa2", "CuKb"; two
    numbers (or "1.5406 1.5444") for a doublet. ratio: intensity of the second over the first; None: 0.5 of
    a doublet. A mean of a tube's doublet (1.5418) is taken as the doublet and `note` says so; with ratio=0
    it is one wavelength. XtinctError for what is no wavelength, with the likely value where it looks like
    nanometres, picometres or keV.
    """
    if isinstance(wavelength, Radiation):
        return wavelength
    if ratio is not None and not 0 <= ratio <= 2:
        raise XtinctError(f"radiation: ratio {ratio:g} of K-alpha2 to K-alpha1, expected 0 to 2 (mostly 0.5)")
    if isinstance(wavelength, str):
        return _of_text(wavelength, ratio)
    if isinstance(wavelength, Sequence) or getattr(wavelength, "ndim", 0):
        return _of_several([float(x) for x in wavelength], ratio)
    return _of_number(float(wavelength), ratio)


def _of_text(text: str, ratio: float | None) -> Radiation:
    plain = text.strip().replace("α", "a").replace("β", "b").lower()
    name = re.fullmatch(r"([a-z]{2})(?:[\s_-]*k?[\s_-]*(?:(a|alpha)[\s_-]*([12])?|(b|beta)\d?))?", plain)
    if name and name[1].capitalize() in ANODES:
        anode = name[1].capitalize()
        lines = ANODES[anode]
        if name[4]:
            return Radiation(lines.beta, anode=anode)
        if name[3]:
            return Radiation(lines.alpha1 if name[3] == "1" else lines.alpha2, anode=anode)
        both = doublet_of(anode)
        return both if ratio is None else replace(both, ratio=ratio)
    energy = re.fullmatch(rf"({_NUMBER.pattern})\s*(kev|ev)", plain)
    if energy:
        value = float(energy[1]) / (1 if energy[2] == "kev" else 1000)
        return _of_number(HC / value if value > 0 else math.nan, ratio)
    with_unit = re.fullmatch(rf"({_NUMBER.pattern})\s*([a-zå]+)", plain)
    if with_unit and with_unit[2] in _UNITS:
        return _of_number(float(with_unit[1]) * _UNITS[with_unit[2]], ratio)
    if re.fullmatch(r"[0-6],\d+", plain):
        raise XtinctError(
            f"radiation: {text!r}: decimals have a point, {plain.replace(',', '.')}; the two wavelengths of "
            "a doublet stand apart, as 1.54059,1.54443"
        )
    parts = re.split(r"[\s,;/]+", plain)
    if all(_NUMBER.fullmatch(part) for part in parts):
        numbers = [float(part) for part in parts]
        return _of_number(numbers[0], ratio) if len(numbers) == 1 else _of_several(numbers, ratio)
    raise XtinctError(
        f"radiation: {text!r} is neither a wavelength in angstrom nor a name such as Cu, CuKa1 or MoKa "
        f"(anodes: {', '.join(ANODES)})"
    )


def _of_several(numbers: list[float], ratio: float | None) -> Radiation:
    if len(numbers) == 1:
        return _of_number(numbers[0], ratio)
    if len(numbers) != 2:
        raise XtinctError(f"radiation: {len(numbers)} wavelengths, expected one, or K-alpha1 and K-alpha2")
    first, second = (_checked(x) for x in numbers)
    ratio = ALPHA_RATIO if ratio is None else ratio
    if first == second or ratio == 0:
        return _of_number(first, 0)
    if not first < second < first * (1 + _WIDEST_DOUBLET):
        raise XtinctError(
            f"radiation: {first:g} and {second:g} angstrom are no K-alpha1 and K-alpha2: the second must be "
            "longer by less than 1.5 %"
        )
    anode = next((name for name, x in ANODES.items() if abs(x.alpha1 / first - 1) < 3e-4), None)
    return Radiation(first, second, ratio, anode)


def _of_number(value: float, ratio: float | None) -> Radiation:
    value = _checked(value)
    for anode, lines in ANODES.items():
        mean = doublet_of(anode).mean
        if abs(value / lines.alpha1 - 1) < _OFF_ALPHA1:
            if not ratio:
                return Radiation(value, anode=anode)
            # The second is as far off as the first is rounded.
            return Radiation(value, lines.alpha2 * value / lines.alpha1, ratio, anode)
        if abs(value / mean - 1) < _OFF_MEAN and ratio != 0:
            both = replace(doublet_of(anode), ratio=ratio or ALPHA_RATIO)
            note = f"{value:g} is the mean of the {anode} K-alpha doublet and was taken as the doublet"
            return replace(both, note=note, given=value)
    if ratio:
        raise XtinctError(
            f"radiation: a ratio of {ratio:g} needs two wavelengths; {value:g} angstrom is no tube's line"
        )
    return Radiation(value)


def _checked(value: float) -> float:
    check_wavelength("wavelength", value)
    return value


def same(a: Radiation, b: Radiation) -> bool:
    """Whether two radiations are one within the rounding of files: the first wavelengths and the means."""
    return abs(a.wavelength / b.wavelength - 1) < 5e-4 and abs(a.mean / b.mean - 1) < 1.5e-3
