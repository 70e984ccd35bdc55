"""Chemical formulas as people write them."""

import re
import unicodedata
from collections import Counter

import gemmi

#: The valence that formulas of minerals write behind an element: Mn2+TiO3.
_VALENCE = re.compile(r"(?<=[A-Za-z])\d?[+-](?=[A-Z\d()\[\]\s]|$)")
#: Water behind a full stop, which is no point of a number: CaSO4.2H2O.
_WATER = re.compile(r"(?<!\D0)\.\s*((?:\d+(?:\.\d+)?)?\s*[HD]2O)\s*$")
#: What stands before a further part of a formula: a raised dot, or an asterisk.
_FURTHER = re.compile(r"\s*[\u00b7\u2022\u2219\u22c5*]\s*")
_TIMES = re.compile(r"\d+(?:\.\d+)?")


def amounts_in(formula: str) -> dict[str, float]:
    """Atoms by element, isotopes as hydrogen, of a formula as people write it; {} where it is none.

    Beside plain ones (Cu S O4, K2[SiF6]) those with valences (Mn2+TiO3), subscripts of Unicode and water or
    other parts behind a dot (CuSO4\u00b75H2O, CuSO4.5H2O) are read; solid solutions, (Mg,Fe)2SiO4, are none.
    """
    from pymatgen.core import Composition

    amounts: Counter[str] = Counter()
    text = _VALENCE.sub("", unicodedata.normalize("NFKC", formula).strip())
    parts = _FURTHER.split(text)
    if len(parts) == 1 and (water := _WATER.search(text)):
        parts = [text[: water.start()], water[1]]
    for part in parts:
        times = _TIMES.match(part)
        try:
            found = Composition(part[times.end() :] if times else part).as_dict()
        except (ValueError, KeyError, TypeError):
            return {}
        for symbol, amount in found.items():
            element = "H" if symbol in ("D", "T") else str(symbol)
            amounts[element] += float(amount) * (float(times[0]) if times else 1.0)
    # pymatgen takes M and X for elements that are not known.
    return dict(amounts) if all(gemmi.Element(symbol).atomic_number for symbol in amounts) else {}
