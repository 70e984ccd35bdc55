"""What the words around the numbers say: wavelengths, anode, counting time, monochromator, axis."""

import re
from dataclasses import dataclass, field, replace

import numpy as np

from xtinct.errors import XtinctError
from xtinct.measurements.axes import Axis, axis_of
from xtinct.measurements.records import Scan
from xtinct.radiation.anodes import ANODES, HC
from xtinct.radiation.tubes import Radiation, doublet_of, radiation_of
from xtinct.radiation.wavelength import LONGEST, SHORTEST

#: Lattice spacing of graphite 002, angstrom, for monochromators that a file names without their angle.
GRAPHITE = 3.354
_VALUE = r"([-+]?(?:\d+(?:[.,]\d+)?|\.\d+)(?:[eE][-+]?\d+)?)"
_UNIT = r"\s*[\"')\]]*\s*(nm|å|angstroms?|ang|pm|m|a)?(?![a-z])"
_GAP = r"[^0-9\n+-]{0,40}?"
#: The number of what the value belongs to: "wavelength of channel 12: 1.54056" is none of 12.
_OF = (
    r"(?:[^0-9\n]{1,40}?(?:(?:channel|detector|bank|#)\s*\d{1,3}\b(?![.,]\d)"
    r"|(?<!\d)\d{1,3}[\])]?\s*[:=](?=\s*[-+]?\.?\d)))?"
)
_LINE = (
    r"(?:k[\s_-]*(?:alpha|a|α)[\s_-]*{0}|alpha[\s_-]*{0}|\bwl{0}|(?:lambda|wave\s*length)[\s_-]*{0})\b"
    r"(?!\s*/|\s*intens|[.,]\d)"
)
_STEP = (
    r"(?:time[\s_-]*per[\s_-]*step|(?:scan[\s_-]*)?step[\s_-]*time|count(?:ing)?[\s_-]*time|z[äa]hlzeit"
    r"|temps par pas)"
)
#: The wavelength of sin(theta)/lambda is the name of an axis, and the 1 of 1/angstrom its unit.
_LENGTH = (
    r"(?<!/)(?<!/ )(?:wave[\s_-]*length|wellenl[äa]nge|longueur d.onde|longitud de onda|\blambda|λ|\bwl\b)"
)
_RATIO = r"(?:ratio|wlratio|verh[äa]ltnis)[^0-9\n]{0,40}?(?:k?[\s_-]*(?:alpha|a)[\s_-]*[12]\s*/?\s*){0,2}"
_ENERGY = (
    r"(?<!kinetic )\b(?:beam |photon |x-ray )?energ(?:y|ie)"
    r"(?![^0-9\n]{0,20}(?:thresh|window|resol|level|lower|upper|cut|range|discr|pass))"
)
_MONOCHROMATOR = r"(?:monochromator|2theta[\s_-]*monochr\w*)[^0-9\n]{0,30}?(?:2[\s-]*th\w*|angle)"
_PATTERNS = {
    "alpha1": _LINE.replace("{0}", "1") + _GAP + _VALUE + _UNIT,
    "alpha2": "(?<!/)" + _LINE.replace("{0}", "2") + _GAP + _VALUE + _UNIT,
    "ratio": _RATIO + _GAP + _VALUE,
    "plain": _LENGTH + _OF + _GAP + _VALUE + r"(?!\s*/)" + _UNIT,
    "energy": _ENERGY + _GAP + _VALUE + r"\s*[\"')\]]*\s*(kev|ev)",
    "energy_in": _ENERGY + r"\s*[\[(,_]?\s*(?P<unit>kev|ev)\b" + _GAP + _VALUE,
    "time": _STEP + _GAP + _VALUE,
    "monochromator": _MONOCHROMATOR + _GAP + _VALUE,
}
_SEARCH = {key: re.compile(pattern, re.IGNORECASE) for key, pattern in _PATTERNS.items()}
_SYMBOL = r"(?-i:(Cr|Fe|Co|Cu|Mo|Ag|CR|FE|CO|CU|MO|AG))"
#: The symbol stands next to the word that announces it: firms are called Co., too.
_ANODE = re.compile(
    r"(?:anode|target|tube|r[öo]hre|source|radiation|strahlung|x-?rays?)[\W_]{0,6}"
    r"(?:(?:anode|target|tube|material|element|type|name)[\W_]{0,6}){0,2}" + _SYMBOL + r"(?![A-Za-z])(?!\.)"
    r"|\b"
    + _SYMBOL
    + r"[\s_-]*K[\s_-]*(?:a|α|alpha)(?P<line>[\s_-]*1(?!\d|[.,]\d|\s*[/+&-]\W*(?:k\W*)?(?:a|α|alpha)?\W*2))?",
    re.IGNORECASE,
)
_IN_ANGSTROM = {"nm": 10.0, "pm": 0.01, "m": 1e10}
#: A unit between the name of a wavelength and its number: "wavelength (nm): 0.154".
_UNIT_BEFORE = re.compile(r"(?<![a-z])(nm|pm|m)(?![a-z])", re.IGNORECASE)
#: A line that gives a number to what it names is a setting, and no name of an axis.
_SETTING = re.compile(r"[:=]\s*[-+]?\.?\d")


@dataclass
class Said:
    """What a header says, None where it does not."""

    axis: Axis | None = None
    radiation: Radiation | None = None
    counting_time: float | None = None
    monochromator: float | None = None
    notes: list[str] = field(default_factory=list)

    def give(self, scan: Scan) -> None:
        """Radiation, counting time and monochromator to a scan."""
        scan.radiation, scan.counting_time = self.radiation, self.counting_time
        scan.monochromator = self.monochromator


def number(text: str) -> float:
    """A number with a point or a comma; ValueError if it is none."""
    return float(text.replace(",", "."))


def said_of(lines: list[str]) -> Said:
    """What the lines of a header (or the key-value lines of a text format) say."""
    said, text = Said(), "\n".join(lines)[:200_000]
    found = {key: match for key, pattern in _SEARCH.items() if (match := _match(key, pattern, text))}
    said.radiation = _radiation(found, text, said.notes)
    if "time" in found:
        seconds = number(found["time"][1])
        said.counting_time = seconds if 0 < seconds < 1e6 else None
    if "monochromator" in found:
        angle = number(found["monochromator"][1])
        said.monochromator = angle if 5 < angle < 175 else None
    elif re.search(r"monochromator[^\n]{0,40}graphite|graphite[^\n]{0,40}monochromator", text, re.IGNORECASE):
        said.monochromator = graphite_angle(said.radiation)
    for line in lines:
        announced = _after_axis_word(line)
        # A line that is nothing but the name of an axis announces it, too.
        axis = axis_of(announced, lone=announced is not line or len(line.strip(" #!;'%*").split()) <= 2)
        if axis in (None, Axis.TWO_THETA, Axis.THETA) or announced is not line or not _SETTING.search(line):
            said.axis = axis
        if said.axis is not None:
            break
    return said


def _match(key: str, pattern: re.Pattern, text: str) -> re.Match | None:
    """The first match; of the wavelengths the first that can be one: "Cu Ka1, Ge(111), lambda = 1.5406".

    Where none can be, K-alpha1 is not heard, and another is left to be refused.
    """
    if key not in ("alpha1", "alpha2", "plain"):
        return pattern.search(text)
    matches = list(pattern.finditer(text))
    possible = (m for m in matches if SHORTEST <= (_wavelength({key: m}, key) or 0) <= LONGEST)
    return next(possible, next(iter(matches), None) if key == "plain" else None)


def _after_axis_word(line: str) -> str:
    """What follows the words that announce an axis; the line itself without them."""
    match = re.search(
        r"(?:x[\s-]*axis(?: unit)?|scan[\s_-]*axis|xunits?|x_?label)\W*(?:is\W*)?(.*)", line, re.IGNORECASE
    )
    return match[1] if match and match[1].strip() else line


def graphite_angle(radiation: Radiation | None) -> float | None:
    """2theta, degrees, of graphite 002; None without a wavelength."""
    if radiation is None:
        return None
    return round(float(2 * np.degrees(np.arcsin(radiation.mean / (2 * GRAPHITE)))), 3)


def _radiation(found: dict[str, re.Match], text: str, notes: list[str]) -> Radiation | None:
    first = _wavelength(found, "alpha1") or _wavelength(found, "plain")
    second = _wavelength(found, "alpha2")
    ratio = number(found["ratio"][1]) if "ratio" in found else None
    if first is not None and second is None and "plain" in found and "alpha1" not in found:
        second, ratio = _listed_after(found["plain"], first, text, ratio)
    anode_match = _ANODE.search(text)
    anode = None
    if anode_match:
        anode = (anode_match[1] or anode_match[2]).capitalize()
    if first is None:
        first = _of_energy(found)
    if first is not None:
        return said_radiation(first, second, ratio, anode, notes)
    if anode in ANODES and anode_match:
        if anode_match["line"]:
            return radiation_of(f"{anode}Ka1")
        return of_anode(anode)
    return None


def _listed_after(
    match: re.Match, first: float, text: str, ratio: float | None
) -> tuple[float | None, float | None]:
    """K-alpha2 and its ratio where they follow K-alpha1 in one line ("lambda 1.54056 1.54439 0.5")."""
    rest = [float(x) for x in re.findall(r"(?<![\w.])\d*\.\d+(?![\w.])", text[match.end() :].split("\n")[0])]
    if not rest or not first < rest[0] < 1.015 * first:
        return None, ratio
    return rest[0], rest[1] if len(rest) > 1 and 0 < rest[1] <= 1 else ratio


def _wavelength(found: dict[str, re.Match], key: str) -> float | None:
    if key not in found:
        return None
    match = found[key]
    before = _UNIT_BEFORE.search(match.string[match.start() : match.start(1)])
    unit = match[2] or (before[1] if before else "")
    value = number(match[1]) * _IN_ANGSTROM.get(unit.lower(), 1.0)
    return value if value > 0 else None


def _of_energy(found: dict[str, re.Match]) -> float | None:
    """Wavelength, angstrom, of the energy that a header says, its unit behind the number or before it."""
    if "energy" in found:
        value, unit = found["energy"][1], found["energy"][2]
    elif "energy_in" in found:
        value, unit = found["energy_in"][2], found["energy_in"]["unit"]
    else:
        return None
    energy = number(value) / (1 if unit.lower() == "kev" else 1000)
    return HC / energy if energy > 0 else None


def of_anode(anode: str) -> Radiation:
    """The doublet of an anode that a file names without a wavelength, and that is said."""
    note = f"the file names a {anode} tube without a wavelength: its K-alpha doublet was taken"
    return replace(doublet_of(anode), note=note)


def said_radiation(
    first: float | None,
    second: float | None,
    ratio: float | None,
    anode: str | None,
    notes: list[str],
) -> Radiation | None:
    """Radiation of a file's wavelengths (angstrom); None where they are none, which `notes` says."""
    anode = anode.strip().capitalize() if anode else None
    if first is None or not first > 0:
        return of_anode(anode) if anode in ANODES else None
    if second is not None and not (second > first and (ratio is None or ratio > 0)):
        second = None
    try:
        if second is None:
            radiation = radiation_of(first)
        else:
            if ratio is not None and not 0 < ratio <= 2:
                notes.append(f"a ratio of {ratio:g} of K-alpha2 to K-alpha1 is not possible; 0.5 was taken")
                ratio = None
            radiation = radiation_of((first, second), ratio)
    except XtinctError as error:
        notes.append(f"the file's wavelength was not taken ({error})")
        return of_anode(anode) if anode in ANODES else None
    if radiation.anode is None and anode in ANODES and second is not None:
        radiation = replace(radiation, anode=anode)
    return radiation
