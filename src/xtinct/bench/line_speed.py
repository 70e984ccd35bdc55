"""Speed of `xtinct.lines` and `xtinct.XRDCalculator`, through the functions that a user calls.

The baselines read the same text, or get the same pymatgen Structure. What a baseline cannot read is left out.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import gemmi

from xtinct.bench.cases import Case
from xtinct.crystals.crystal_lines import lines
from xtinct.errors import XtinctError

_WAVELENGTH = 1.5406
_RANGE = (5.0, 90.0)
#: angstrom, the same range for gemmi.
_D_MIN = 1.0895


def line_cases(cifs: Sequence[str]) -> Iterable[Case]:
    """Lines with their hkl from CIF text and from Structures, against pymatgen; and against gemmi's sums."""
    from pymatgen.analysis.diffraction.xrd import XRDCalculator
    from pymatgen.io.cif import CifParser

    from xtinct.crystals.pymatgen_calculators import XRDCalculator as OwnCalculator

    theirs, ours = XRDCalculator(_WAVELENGTH), OwnCalculator(_WAVELENGTH)

    def structure(text: str) -> Any:
        return CifParser.from_str(text).parse_structures(primitive=False)[0]

    def pattern(found: Any) -> Any:
        return theirs.get_pattern(found, two_theta_range=_RANGE)

    def lines_of(text: Any, symprec: float | None = 0.01) -> Any:
        return lines(text, _WAVELENGTH, two_theta_range=_RANGE, symprec=symprec)

    texts, structures = [], []
    for text in cifs:
        try:
            found = structure(text)
            pattern(found)
            lines_of(text)
        except (ValueError, XtinctError):
            continue
        texts.append(text)
        structures.append(found)
    from_text = _each(lambda text: pattern(structure(text)), texts)
    name = "pymatgen CifParser and XRDCalculator"
    yield Case("lines, CIF text", name, from_text, _each(lines_of, texts), 25)
    yield Case(
        "lines, CIF text as written", name, from_text, _each(lambda text: lines_of(text, None), texts), 60
    )
    yield Case(
        "XRDCalculator, Structure",
        "pymatgen XRDCalculator",
        _each(pattern, structures),
        _each(lambda found: ours.get_pattern(found, two_theta_range=_RANGE), structures),
        25,
    )
    yield Case(
        "lines, CIF text",
        "gemmi, |F|^2 of unique hkl from text",
        _each(gemmi_squares, texts),
        _each(lines_of, texts),
        1,
    )


def gemmi_squares(text: str) -> list[float]:
    """|F|^2 of the unique hkl by gemmi's direct summation."""
    small = gemmi.make_small_structure_from_block(gemmi.cif.read_string(text).sole_block())
    calculator = gemmi.StructureFactorCalculatorX(small.cell)
    group = small.spacegroup or gemmi.SpaceGroup("P 1")
    hkl = gemmi.make_miller_array(small.cell, group, _D_MIN)
    return [abs(calculator.calculate_sf_from_small_structure(small, one)) ** 2 for one in hkl.tolist()]


def _each(work: Callable[[Any], object], items: Sequence[Any]) -> Callable[[], int]:
    def run() -> int:
        for item in items:
            work(item)
        return len(items)

    return run
